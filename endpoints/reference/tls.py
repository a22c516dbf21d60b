"""TLS over a socket that stays ours: OpenSSL sees only memory, so that the kernel still stamps each record."""

import ssl
from contextlib import suppress
from pathlib import Path

_READ_BYTES = 1 << 18


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return a context that serves HTTP/1.1 with this certificate. Raises OSError (ssl.SSLError is one)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    return context


class Tls:
    """The server's end of one connection."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._shaken = False

    def open(self, data: bytes) -> bytes:
        """Return the plain text that `data` completes, if any.

        Raises ssl.SSLError if it is no TLS, or the client ends it. `pending` has what is to be sent in any case.
        """
        self._incoming.write(data)
        plain = b""
        with suppress(ssl.SSLWantReadError):
            if not self._shaken:
                self._object.do_handshake()
                self._shaken = True
            while True:
                plain += self._object.read(_READ_BYTES)
        return plain

    def seal(self, data: bytes) -> bytes:
        """Return `data` as TLS records."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._object.write(rest) :]
        return self._outgoing.read()

    def pending(self) -> bytes:
        """Return what the protocol itself wants to send: the handshake, tickets, alerts."""
        return self._outgoing.read()

    def close(self) -> bytes:
        """Return the goodbye."""
        with suppress(ssl.SSLError, ValueError):
            self._object.unwrap()
        return self._outgoing.read()
