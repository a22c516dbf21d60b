"""Opening sockets: every address of a host in turn, receive stamps asked for, TLS over memory buffers."""

import asyncio
import contextlib
import os
import socket
import ssl

import httpx

from loadgen.arrivals import Arrivals
from loadgen.stamps import ask_kernel_stamps

_READ_BYTES = 65536


class Tls:
    """TLS over memory buffers, so that the socket underneath stays ours and keeps its receive stamps."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self.closed = False

    async def handshake(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        """Shake hands over a connected socket. Raises ssl.SSLError or OSError."""
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await loop.sock_sendall(sock, self._outgoing.read())
                data = await loop.sock_recv(sock, _READ_BYTES)
                if not data:
                    raise ConnectionResetError("the server closed the connection during the TLS handshake") from None
                self._incoming.write(data)
        await loop.sock_sendall(sock, self._outgoing.read())

    def encrypt(self, data: bytes) -> bytes:
        """Wire bytes of `data`."""
        self._tls.write(data)
        return self._outgoing.read()

    def decrypt(self, wire: bytes) -> bytes:
        """What `wire` completes; empty while a record is not complete. Raises ssl.SSLError."""
        self._incoming.write(wire)
        plain = []
        try:
            while self._incoming.pending or self._tls.pending():
                piece = self._tls.read(_READ_BYTES)
                if not piece:
                    self.closed = True
                    break
                plain.append(piece)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.closed = True
        return plain[0] if len(plain) == 1 else b"".join(plain)


def tls_context(*, verify: bool) -> ssl.SSLContext:
    """What is trusted: httpx's list of authorities (or that of SSL_CERT_FILE, SSL_CERT_DIR), and this machine's own."""
    context = httpx.create_ssl_context(verify=verify)
    if verify:
        context.load_default_certs()
    return context


async def open_socket(
    host: str, port: int, tls: ssl.SSLContext | None, timeout_s: float | None, arrivals: Arrivals
) -> tuple[socket.socket, Tls | None]:
    """A connected non-blocking socket, TLS agreed on; `arrivals.in_handshake` is set in between.

    Raises httpx.ConnectError (host not found, refused, TLS) or httpx.ConnectTimeout.
    """
    loop = asyncio.get_running_loop()
    arrivals.in_handshake = False
    where = f"{host}:{port}"
    try:
        async with asyncio.timeout(timeout_s):
            sock = await _connect(loop, host, port, timeout_s)
            try:
                wrapped = Tls(tls, host) if tls else None
                if wrapped:
                    arrivals.in_handshake = True
                    await wrapped.handshake(loop, sock)
                    arrivals.in_handshake = False
            except BaseException:
                sock.close()
                raise
            return sock, wrapped
    except TimeoutError:
        raise not_connected(where, timeout_s, in_handshake=arrivals.in_handshake) from None
    except ssl.SSLError as error:
        raise httpx.ConnectError(f"TLS with {where} failed: {error}") from None
    except OSError as error:
        failed = f"TLS with {where} failed" if arrivals.in_handshake else f"cannot connect to {where}"
        raise httpx.ConnectError(f"{failed}: {reason_of(error)}") from None


def not_connected(where: str, within_s: float | None, *, in_handshake: bool) -> httpx.ConnectTimeout:
    """The error of a request that was not sent within the limit, TCP connected or not."""
    if in_handshake:
        return httpx.ConnectTimeout(
            f"{where} took the connection and did not answer the TLS handshake within {within_s:g} s"
        )
    return httpx.ConnectTimeout(f"no connection to {where} within {within_s:g} s")


async def _connect(loop: asyncio.AbstractEventLoop, host: str, port: int, timeout_s: float | None) -> socket.socket:
    infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    errors: list[str] = []
    for family, kind, protocol, _, address in infos:
        # each address gets its share of the time, so that one that swallows packets leaves some for the next
        share = None if timeout_s is None else timeout_s / len(infos)
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            ask_kernel_stamps(sock)
            async with asyncio.timeout(share):
                await loop.sock_connect(sock, address)
            return sock
        except TimeoutError:
            sock.close()
            errors.append(f"{address[0]}: no answer within {share:g} s")
            if len(errors) == len(infos):
                raise
        except OSError as error:
            sock.close()
            errors.append(f"{address[0]}: {reason_of(error)}")
        except BaseException:
            sock.close()
            raise
    raise OSError("; ".join(errors))


def reason_of(error: OSError) -> str:
    """What the system says, without what asyncio and others put around it."""
    # asyncio words its own message around the number; name look-ups have negative numbers and a text of their own
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
