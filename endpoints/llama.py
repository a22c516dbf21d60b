"""The local engine: llama.cpp's own HTTP server, serving a small random Llama, in this (child) process.

    python -m endpoints.llama --model-dir DIR [--port 0] [--slots 4] [--stop-on-stdin-eof]

Prints `progress` events while it makes the model, then one `ready` event with the URL, or one `error` event and
exit code 1. The engine's own output goes to stderr, or to the file given by --log.
"""

import argparse
import os
import platform
import signal
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from endpoints import random_llama
from endpoints.ascii_tokenizer import CorpusError
from endpoints.child import Events, on_stop_signals, stop_on_stdin_eof
from endpoints.random_llama import Recipe

HOST = "127.0.0.1"
NEEDED_CPU_FLAGS = ("avx2", "fma", "f16c")


class CannotServeError(RuntimeError):
    """The engine cannot run here; the message says what to do about it."""


_NICENESS = 10
"""The load generator shares this machine: what it asks of a core is little, but it must not wait for the engine."""


def main(argv: list[str] | None = None) -> None:
    """Serve until SIGTERM or, where asked for, the end of stdin (exit 0) or SIGINT (130). Failures exit 1."""
    options = _parse(argv)
    events = Events(_chatter(options.log))
    on_stop_signals(sys.exit)
    if options.stop_on_stdin_eof:
        stop_on_stdin_eof()
    os.nice(_NICENESS)
    try:
        check_cpu()
        server, recipe = _start(options, events)
    except (CannotServeError, CorpusError, OSError, ValueError) as error:
        events.send("error", message=str(error))
        sys.exit(1)
    # From here on os._exit: the engine's threads have nothing to save, and ending them one by one takes time.
    on_stop_signals(os._exit)
    root = server.listening_address
    events.send(
        "ready",
        url=f"{root}/v1",
        model=recipe.model_name,
        engine="llama.cpp",
        engine_version=f"xllamacpp {version('xllamacpp')}",
        metrics_url=f"{root}/metrics",
    )
    while True:
        signal.pause()


def check_cpu(cpuinfo: Path = Path("/proc/cpuinfo")) -> None:
    """Raise CannotServeError where the prebuilt x86 engine would die of an illegal instruction without a word."""
    if platform.machine() not in ("x86_64", "AMD64") or not cpuinfo.exists():
        return
    flags = next((line.split() for line in cpuinfo.read_text().splitlines() if line.startswith("flags")), [])
    missing = [flag.upper() for flag in NEEDED_CPU_FLAGS if flag not in flags]
    if missing:
        raise CannotServeError(
            f"this CPU has no {', '.join(missing)}, which the prebuilt llama.cpp needs: run on a newer CPU, "
            "or measure an endpoint elsewhere with `ratecard run --url URL --model NAME`"
        )


def _start(options: argparse.Namespace, events: Events) -> tuple[Any, Recipe]:
    try:
        import xllamacpp
    except ImportError as error:
        raise CannotServeError(f"the local engine is not installed ({error}): pip install 'ratecard[demo]'") from None
    recipe = Recipe(
        hidden=options.hidden, layers=options.layers, ffn=options.ffn, vocabulary=options.vocabulary, seed=options.seed
    )
    try:
        model = random_llama.ensure(options.model_dir, recipe, lambda text: events.send("progress", message=text))
    except ImportError as error:
        raise CannotServeError(f"the model cannot be made ({error}): pip install 'ratecard[demo]'") from None
    events.send("progress", message=f"starting llama.cpp with {recipe.model_name}, {options.slots} slots")
    return _serve(xllamacpp, model, recipe, options), recipe


def _serve(xllamacpp: Any, model: Path, recipe: Recipe, options: argparse.Namespace) -> Any:
    """Return the running server, its port bound; port 0 is bound by the server itself, so that nobody can take it."""
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {recipe.model_name}
    params.hostnames = [HOST]
    params.port = options.port
    params.n_parallel = options.slots
    params.n_ctx = options.slots * options.slot_tokens
    params.n_predict = options.slot_tokens
    # One compute thread: two of them spin against each other, and against the client, on a small shared machine.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    # A stream holds an HTTP thread to its end: without spare ones /metrics would wait behind the streams.
    params.n_threads_http = options.max_concurrency + 4
    params.endpoint_metrics = True
    params.ui = False
    params.fit_params = False
    params.verbosity = 1
    try:
        return xllamacpp.Server(params)
    except Exception as error:
        port = f" on port {options.port} (taken?)" if options.port else ""
        raise CannotServeError(f"llama.cpp did not start{port}: {error}") from error


def _chatter(log: Path | None) -> int:
    if log is None:
        return 2
    log.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(handle, 2)
    return handle


def _parse(argv: list[str] | None) -> argparse.Namespace:
    shape = Recipe()
    parser = argparse.ArgumentParser(prog="python -m endpoints.llama", description="The local engine.")
    parser.add_argument("--model-dir", type=Path, required=True, help="where the model file is cached")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0: a free one")
    parser.add_argument("--slots", type=int, default=4, help="requests served at once; the others queue")
    parser.add_argument("--slot-tokens", type=int, default=4096, help="prompt + output tokens that a slot can hold")
    parser.add_argument("--max-concurrency", type=int, default=32, help="most requests in flight")
    parser.add_argument("--log", type=Path, help="file for the engine's own output, instead of stderr")
    parser.add_argument("--stop-on-stdin-eof", action="store_true", help="exit when stdin is closed")
    for name in ("hidden", "layers", "ffn", "vocabulary", "seed"):
        parser.add_argument(f"--{name}", type=int, default=getattr(shape, name), help="of the model (%(default)s)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
