"""The reference endpoint of a benchmark: started, stopped, and its log of the truth read."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from tests.certificate import make_certificate
from warehouse.calibration import logged_by_endpoint

TTFT_MS, ITL_MS = 200.0, 20.0
_LOG = "truth.jsonl"


@contextmanager
def reference(
    folder: Path,
    *,
    ttft_ms: float = TTFT_MS,
    itl_ms: float = ITL_MS,
    tls: bool = False,
    logs: bool = True,
    options: Sequence[str] = (),
) -> Iterator[str]:
    """The URL of an endpoint that lives as long as the block; then `truth` has its log, unless it keeps none.

    `options` are further ones of `python -m endpoints.reference`. Raises RuntimeError where it does not start.
    """
    command = [sys.executable, "-m", "endpoints.reference", "--stop-on-stdin-eof"]
    command += ["--ttft-ms", str(ttft_ms), "--itl-ms", str(itl_ms), *options]
    if logs:
        command += ["--log", str(folder / _LOG)]
    if tls:
        certificate = str(make_certificate(folder))
        command += ["--tls-cert", certificate, "--tls-key", certificate]
    # Leaving the block closes the endpoint's stdin and waits: the log is whole when it is read.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as endpoint:
        assert endpoint.stdout is not None
        ready = json.loads(endpoint.stdout.readline() or "{}")
        if ready.get("event") != "ready":
            raise RuntimeError(f"the reference endpoint did not start: {ready.get('message', 'see its stderr above')}")
        yield ready["url"]


def truth(folder: Path) -> pl.DataFrame:
    """What the endpoint logged: a row a request with `prompt_sha256`, `ttft_ms`, `gaps_ms`, `sent_ns`."""
    return logged_by_endpoint(folder / _LOG)
