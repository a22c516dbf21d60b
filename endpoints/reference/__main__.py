"""The reference endpoint's command line.

    python -m endpoints.reference --port 0 --ttft-ms 200 --itl-ms 20 --log truth.jsonl [--stop-on-stdin-eof]
    python -m endpoints.reference --slots 8 --prefix-cache --fault stall:tokens=3,seconds=2 --fault-every 10

Prints one `ready` event with the URL, or an `error` event and exit code 1. SIGUSR1 writes the log so far; SIGTERM,
SIGINT and (where asked for) the end of stdin write it and exit.
"""

import argparse
import gc
import resource
import signal
import socket
import sys
from pathlib import Path

from endpoints.child import Events, on_stop_signals, stop_on_stdin_eof
from endpoints.reference.capacity import Capacity
from endpoints.reference.connection import Connection
from endpoints.reference.faults import HEADER, KINDS, Fault, parse_fault
from endpoints.reference.script import Timing
from endpoints.reference.server import Server
from endpoints.reference.service import Service, Settings
from endpoints.reference.tls import Tls, server_context
from endpoints.reference.truth import TruthLog

HOST = "127.0.0.1"


def main(argv: list[str] | None = None) -> None:
    """Serve until told to stop: exit 0 (SIGTERM, end of stdin), 130 (SIGINT), 1 (could not start)."""
    options = _parse(argv)
    events = Events()
    try:
        log = TruthLog(options.log)
        context = server_context(options.tls_cert, options.tls_key) if options.tls_cert else None
        listener = socket.create_server((HOST, options.port))
    except OSError as error:
        events.send("error", message=_cannot_serve(options, error))
        sys.exit(1)
    capacity = Capacity(options.slots)
    service = Service(_settings(options), capacity)

    def connect(sock: socket.socket) -> Connection:
        return Connection(sock, service.answer, None if context is None else Tls(context))

    server = Server(listener, connect, capacity, log)
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
    # a certificate is for a name, not for a number
    origin = f"http://{HOST}" if context is None else "https://localhost"
    url = f"{origin}:{listener.getsockname()[1]}/v1"
    events.send("ready", url=url, model=service.model, engine="reference")
    server.run()
    sys.exit(exit_codes[0])


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        timing=Timing(ttft_ns=round(options.ttft_ms * 1e6), itl_ns=round(options.itl_ms * 1e6)),
        default_tokens=options.output_tokens,
        tokens_per_chunk=options.tokens_per_chunk,
        reasoning_tokens=options.reasoning_tokens,
        model=options.model,
        api_key=options.api_key,
        usage=not options.no_usage,
        stream=not options.no_stream,
        metrics=not options.no_metrics,
        prefix_cache=options.prefix_cache,
        fault=options.fault,
        fault_every=options.fault_every,
    )


def _cannot_serve(options: argparse.Namespace, error: OSError) -> str:
    tls = f", certificate {options.tls_cert} and key {options.tls_key}" if options.tls_cert else ""
    return f"cannot serve on port {options.port} with log {options.log}{tls}: {error}"


def _allow_many_connections() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m endpoints.reference", description="The reference endpoint.")
    parser.epilog = f"A request may ask for its own fault with the header {HEADER}: KIND[:key=value,...]."
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
    add("--no-metrics", action="store_true", help="answer /metrics with a 404")
    add("--slots", type=_count, help="generations that run at once, further ones wait; default: any number")
    add("--prefix-cache", action="store_true", help="count prompt text seen before as cached_tokens")
    add(
        "--reasoning-tokens",
        type=_tokens,
        default=0,
        help="first tokens of each answer that are reasoning (%(default)s)",
    )
    add("--fault", type=_fault, metavar="KIND[:key=value,...]", help=f"what goes wrong: {_fault_kinds()}")
    add("--fault-every", type=_count, default=1, metavar="N", help="with every N-th request to generate (%(default)s)")
    add("--tls-cert", type=Path, metavar="FILE", help="serve https with this certificate (PEM), which names localhost")
    add("--tls-key", type=Path, metavar="FILE", help="the certificate's private key (PEM)")
    add("--stop-on-stdin-eof", action="store_true", help="exit when stdin is closed")
    options = parser.parse_args(argv)
    if (options.tls_cert is None) != (options.tls_key is None):
        parser.error("--tls-cert and --tls-key go together: give both or neither")
    return options


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


def _tokens(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is less than 0")
    return value


def _fault(text: str) -> Fault:
    try:
        return parse_fault(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _fault_kinds() -> str:
    return ", ".join(f"{kind} ({', '.join(keys)})" if keys else kind for kind, keys in KINDS.items())


if __name__ == "__main__":
    main()
