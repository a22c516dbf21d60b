"""HTTP requests out of the bytes of one connection."""

import httptools

from endpoints.reference.request import HttpRequest


class RequestAssembler:
    """Makes HttpRequests of bytes (httptools calls the `on_` methods)."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._done: list[tuple[HttpRequest, bool]] = []
        self.on_message_begin()

    def feed(self, data: bytes) -> list[tuple[HttpRequest, bool]]:
        """Return the requests that `data` completes, each with its keep-alive; garbage is a request to `*`."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._done.append((HttpRequest("GARBAGE", "*", {}, b""), False))
        done, self._done = self._done, []
        return done

    def on_message_begin(self) -> None:
        """Forget the last request."""
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the URL."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Keep the request."""
        method = self._parser.get_method().decode()
        path = self._url.decode("latin-1").partition("?")[0]
        request = HttpRequest(method, path, self._headers, bytes(self._body))
        self._done.append((request, self._parser.should_keep_alive()))
