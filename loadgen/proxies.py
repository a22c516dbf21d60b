"""The endpoint's own proxy, as httpx wants it, and who goes there."""

import importlib.util

import httpx

from loadgen.sockets import tls_context
from schemas.errors import SpecError


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


def socks_errors() -> tuple[type[Exception], ...]:
    """What httpcore lets through of the package that speaks SOCKS, where that is installed."""
    try:
        from socksio import SOCKSError
    except ImportError:
        return ()
    return (SOCKSError,)
