"""httpx's errors in the words and classes of our own transport, saying whether a proxy is to blame."""

import ssl
from typing import NamedTuple

import httpx

from loadgen import sockets
from loadgen.sockets import reason_of


class Peer(NamedTuple):
    """Who was spoken to: `host:port`, and the proxy on the way if there is one."""

    server: str
    proxy: str | None


def not_connected(peer: Peer, within_s: float, step: str, *, reached: bool) -> httpx.ConnectTimeout:
    """The error of a request that was not sent within the limit.

    `step` as in `retold`; `reached`: the nearest of `peer` took a connection.
    """
    near = peer.proxy or peer.server
    if other := _in_handshake_with(peer, step):
        return sockets.not_connected(other, within_s, in_handshake=True)
    if peer.proxy and reached:
        return httpx.ConnectTimeout(f"{near} opens no way to {peer.server} within {within_s:g} s")
    return sockets.not_connected(near, within_s, in_handshake=False)


def retold(error: httpx.TransportError, peer: Peer, step: str, *, answered: bool) -> httpx.TransportError:
    """The error to raise instead of `error`.

    `step` is the step of connecting that was begun last (`Watch.step`), `answered` whether a status had come.
    """
    near = peer.proxy or peer.server
    match error:
        case httpx.ProxyError():
            return httpx.ConnectError(f"{near} opens no way to {peer.server}: {error}")
        case httpx.ConnectTimeout():
            return httpx.ConnectTimeout(f"cannot connect to {near}: {_cause(error)}")
        case httpx.ConnectError() if other := _in_handshake_with(peer, step):
            return httpx.ConnectError(f"TLS with {other} failed: {str(error) or _cause(error)}")
        case httpx.ConnectError():
            return httpx.ConnectError(f"cannot connect to {near}: {_cause(error)}")
        case httpx.RemoteProtocolError() if _is_cut(str(error)):
            when = "in the middle of the body" if answered else "before it answered"
            return httpx.RemoteProtocolError(f"the server closed the connection {when}")
        case httpx.ReadError() | httpx.WriteError():
            return type(error)(f"the connection broke: {_cause(error)}")
    return error


def _is_cut(message: str) -> bool:
    return message.startswith(
        ("peer closed connection", "Server disconnected", "<StreamReset", "<ConnectionTerminated")
    )


def _in_handshake_with(peer: Peer, step: str) -> str | None:
    """With whom TLS was being agreed on at `step`; null: with nobody."""
    near = peer.proxy or peer.server
    if step == "connection.start_tls":
        return near
    return f"{peer.server} through {near}" if step.endswith("start_tls") else None


def _cause(error: BaseException) -> str:
    """Why it happened: the system's own error, which httpx keeps under the wrappers of other libraries."""
    below: BaseException | None = error
    while below is not None:
        # the numbers of TLS errors are not the system's
        if isinstance(below, OSError) and below.errno and not isinstance(below, ssl.SSLError):
            return reason_of(below)
        below = below.exceptions[0] if isinstance(below, BaseExceptionGroup) else below.__cause__ or below.__context__
    return str(error) or "the other side closed it"
