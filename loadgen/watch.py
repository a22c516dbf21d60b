"""httpcore's progress of one request as stamps: neither connecting nor a proxy's CONNECT is inside `sent_ns`."""

from collections.abc import Callable
from time import monotonic_ns
from typing import Any

from loadgen.arrivals import Arrivals

_CONNECTING = ("connect_tcp", "setup_socks5_connection", "start_tls")


class Watch:
    """Handed to httpcore as the `trace` extension of one request; fills its recorder.

    `step` is the step of connecting that was begun last (`connection.start_tls`: with the server, or with the proxy if
    there is one; `proxy.start_tls`: with the server through it), `connected` the connections that were made, `stream`
    what the last step gave. `on_sent` is called when the request itself goes out.
    """

    def __init__(self, arrivals: Arrivals, on_sent: Callable[[], None]) -> None:
        self._arrivals = arrivals
        self._on_sent = on_sent
        self.step = ""
        self.connected = 0
        self.stream: Any = None
        self._began_ns = 0

    async def __call__(self, name: str, info: dict[str, Any]) -> None:
        """Take `layer.step.state`, as in `http11.send_request_headers.started`."""
        now = monotonic_ns()
        layer, step, state = name.split(".")
        if step in _CONNECTING:
            self.step = f"{layer}.{step}"
            if state == "started" and step == "connect_tcp":
                self._began_ns = now
            elif state == "complete":
                self.connected += step == "connect_tcp"
                self.stream = info["return_value"]
                self._arrivals.connect_ns = now - self._began_ns
        elif step == "send_request_headers" and state == "started" and info["request"].method != b"CONNECT":
            self._arrivals.sent_ns = now
            self._on_sent()
        elif step == "receive_response_headers" and state == "complete" and self._arrivals.sent_ns is not None:
            self._arrivals.headers_ns = now
