"""The endpoint's own proxy, as httpx wants it, and who goes there."""

import base64
import importlib.util
import os

import httpx

from loadgen.sockets import tls_context
from loadgen.spec import Target
from schemas.errors import SpecError

_LONGEST = 255  # bytes of a name or a password that SOCKS has room for (RFC 1929)


def proxy_of(url: str, auth: tuple[str, str] | None = None) -> httpx.Proxy:
    """The proxy at `url`, which is told user and password. Raises SpecError if that is no proxy's, or if a package is missing."""
    try:
        proxy = httpx.Proxy(url, auth=auth)
    except (ValueError, httpx.InvalidURL):
        # the URL is not shown: it may hold a password
        raise SpecError(
            "the endpoint's proxy is no proxy URL: expected http://, https:// or socks5://host:port"
        ) from None
    if proxy.url.scheme.startswith("socks5") and importlib.util.find_spec("socksio") is None:
        raise SpecError("a SOCKS proxy needs a package that is not installed: pip install socksio")
    if proxy.url.scheme == "https":
        proxy.ssl_context = tls_context(verify=True)
    return proxy


def credentials(target: Target) -> tuple[str, str] | None:
    """User and password for the proxy of `target`; null where it names none. Raises SpecError if they are not there."""
    name = target.proxy_auth_env
    if name is None:
        return None
    value = os.environ.get(name, "").strip()
    user, colon, password = value.partition(":")
    if not colon:
        lacks = "has no colon" if value else "is not set"
        raise SpecError(f"USER:PASSWORD for the proxy is expected in the environment variable {name}, which {lacks}")
    longest = max(len(user.encode()), len(password.encode()))
    if str(target.proxy).startswith("socks5") and longest > _LONGEST:
        raise SpecError(
            f"USER:PASSWORD in the environment variable {name} is too long: SOCKS takes {_LONGEST} bytes each"
        )
    return user, password


def secrets_of(auth: tuple[str, str] | None) -> tuple[str, ...]:
    """What no message may repeat: the password, by itself and as it goes over the wire."""
    if auth is None:
        return ()
    pair = ":".join(auth)
    return pair, auth[1], base64.b64encode(pair.encode()).decode()


def socks_errors() -> tuple[type[Exception], ...]:
    """What httpcore lets through of the package that speaks SOCKS, where that is installed."""
    try:
        from socksio import SOCKSError
    except ImportError:
        return ()
    return (SOCKSError,)
