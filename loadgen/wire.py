"""Which transport an endpoint's requests take."""

from loadgen.fallback import FallbackTransport
from loadgen.secrets import Login
from loadgen.spec import Target
from loadgen.transport import SocketTransport

Transport = SocketTransport | FallbackTransport


def transport_for(target: Target, proxy_login: Login | None) -> Transport:
    """Sockets of our own, or httpx's transport where a proxy or HTTP/2 is asked for.

    Raises SpecError if the proxy's URL is none, or if a package is missing.
    """
    if target.proxy or target.http2:
        return FallbackTransport(
            proxy=target.proxy,
            proxy_auth=proxy_login,
            http2=target.http2,
            timeout_s=target.timeout_s,
            connect_timeout_s=target.connect_timeout_s,
            verify=target.verify_tls,
        )
    return SocketTransport(
        timeout_s=target.timeout_s,
        connect_timeout_s=target.connect_timeout_s,
        verify=target.verify_tls,
        keeps_connections=target.keeps_connections,
    )
