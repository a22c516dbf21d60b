"""The reference endpoint's command line.

    python -m endpoints.reference --port 0 --ttft-ms 200 --itl-ms 20 --log truth.jsonl [--stop-on-stdin-eof]

Prints one `ready` event with the URL, or an `error` event and exit code 1. SIGUSR1 writes the log so far; SIGTERM,
SIGINT and (where asked for) the end of stdin write it and exit.
"""

import argparse
import gc
import resource
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from endpoints.child import Events, on_stop_signals, stop_on_stdin_eof
from endpoints.reference import request, script
from endpoints.reference.connection import Answer, Connection
from endpoints.reference.request import HttpRequest
from endpoints.reference.server import Server
from endpoints.reference.truth import TruthLog

HOST = "127.0.0.1"
DEFAULT_MODEL = "reference"


@dataclass(frozen=True, slots=True)
class Service:
    """What this endpoint answers. `model` None serves any model, `api_key` None needs no key."""

    timing: script.Timing
    model: str | None = None
    api_key: str | None = None
    usage: bool = True
    stream: bool = True
    hang: bool = False

    def answer(self, http: HttpRequest) -> Answer:
        """Answer one request; raises ApiError."""
        if self.hang:
            return Answer(script.SILENCE)
        request.check_key(http, self.api_key)
        if http.path == "/v1/models" and http.method == "GET":
            return Answer(script.models([self.model or DEFAULT_MODEL]))
        generation = request.read_generation(http, self.model)
        form = script.stream if self.stream and generation.stream else script.whole
        return Answer(form(generation, self.timing, self.usage), generation, self.timing.tokens_per_chunk)


def main(argv: list[str] | None = None) -> None:
    """Serve until told to stop: exit 0 (SIGTERM, end of stdin), 130 (SIGINT), 1 (could not start)."""
    options = _parse(argv)
    events = Events()
    try:
        log = TruthLog(options.log)
        listener = socket.create_server((HOST, options.port))
    except OSError as error:
        events.send("error", message=f"cannot serve on port {options.port} with log {options.log}: {error}")
        sys.exit(1)
    service = _service(options)
    server = Server(listener, lambda sock: Connection(sock, service.answer), log)
    exit_codes: list[int] = []

    def stop(code: int) -> None:
        exit_codes.append(code)
        server.stop()

    on_stop_signals(stop)
    signal.signal(signal.SIGUSR1, lambda *_: server.flush_log())
    if options.stop_on_stdin_eof:
        stop_on_stdin_eof()
    _allow_many_connections()
    gc.freeze()
    gc.disable()  # a collection in the middle of a run would make every due token late
    url = f"http://{HOST}:{listener.getsockname()[1]}/v1"
    events.send("ready", url=url, model=service.model or DEFAULT_MODEL, engine="reference")
    server.run()
    sys.exit(exit_codes[0])


def _service(options: argparse.Namespace) -> Service:
    timing = script.Timing(
        ttft_ns=round(options.ttft_ms * 1e6),
        itl_ns=round(options.itl_ms * 1e6),
        tokens_per_chunk=options.tokens_per_chunk,
        default_tokens=options.output_tokens,
    )
    return Service(
        timing=timing,
        model=options.model,
        api_key=options.api_key,
        usage=not options.no_usage,
        stream=not options.no_stream,
        hang=options.hang,
    )


def _allow_many_connections() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m endpoints.reference", description="The reference endpoint.")
    add = parser.add_argument
    add("--port", type=int, default=0, help="port on 127.0.0.1; 0: a free one")
    add("--ttft-ms", type=_milliseconds, default=200.0, help="first token, after the request came (%(default)s)")
    add("--itl-ms", type=_milliseconds, default=20.0, help="between tokens (%(default)s)")
    add("--output-tokens", type=_count, default=64, help="where a request has no max_tokens (%(default)s)")
    add("--tokens-per-chunk", type=_count, default=1, help="tokens bundled into one event (%(default)s)")
    add("--log", type=Path, help="file for the truth, one JSON line a request; emptied at the start")
    add("--model", help="serve only this model; any other is a 404")
    add("--api-key", help="need this key; without it the answer is a 401")
    add("--no-usage", action="store_true", help="send no usage even when asked")
    add("--no-stream", action="store_true", help="answer in one piece even when asked to stream")
    add("--hang", action="store_true", help="accept requests and never answer")
    add("--stop-on-stdin-eof", action="store_true", help="exit when stdin is closed")
    return parser.parse_args(argv)


def _milliseconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < 86_400_000:
        raise argparse.ArgumentTypeError(f"{text} is not a time in milliseconds")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value


if __name__ == "__main__":
    main()
