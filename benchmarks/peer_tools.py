"""Other load generators: how each is installed, run and read."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks.child import run
from benchmarks.clients import Streams
from benchmarks.shards import INPUT_TOKENS

_PIP_PATIENCE_S = 1800


@dataclass(frozen=True)
class Told:
    """What a tool says it saw. `itl_by_request`: its ITL is one mean a request, not the gaps themselves."""

    version: str
    requests: int
    ttft_mean_ms: float
    ttft_p99_ms: float
    itl_p99_ms: float
    itl_by_request: bool


@dataclass(frozen=True)
class Peer:
    """A tool, by its name on PyPI; `run(environment, url, load, tokenizer, folder)` raises RuntimeError."""

    package: str
    run: Callable[[Path, str, Streams, Path, Path], Told]


def environment(name: str) -> Path:
    """The tool's own virtual environment, made and filled if it is not there. Raises RuntimeError."""
    default = Path(__file__).parents[1] / ".bench-peers"
    home = Path(os.environ.get("BENCH_PEERS") or default) / name
    if (home / "bin" / name).exists():
        return home
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    print(f"installing {name} into {home}", file=sys.stderr, flush=True)
    for command in ([sys.executable, "-m", "venv", str(home)], [*pip, PEERS[name].package]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PIP_PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{' '.join(command)} took more than {_PIP_PATIENCE_S} s") from None
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} exited {done.returncode}: {done.stderr.strip()[-500:]}")
    return home


def aiperf(home: Path, url: str, load: Streams, tokenizer: Path, folder: Path) -> Told:
    """Run NVIDIA AIPerf; it writes a JSON line a request, with all gaps between chunks."""
    results = folder / "aiperf"
    options = {
        "model": "reference",
        "url": url,
        "endpoint-type": "chat",
        "tokenizer": str(tokenizer),
        "concurrency": load.streams,
        "request-count": load.requests,
        "synthetic-input-tokens-mean": INPUT_TOKENS,
        "output-tokens-mean": load.output_tokens,
        "artifact-dir": str(results),
        "ui": "none",
    }
    flags = ["--streaming", "--use-server-token-count", "--no-server-metrics", "--no-gpu-telemetry"]
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    run([str(home / "bin" / "aiperf"), "profile", *flags, *arguments], folder / "aiperf.out", cwd=folder)
    lines = (results / "profile_export.jsonl").read_text().splitlines()
    metrics = [json.loads(line)["metrics"] for line in lines]
    ttft_ms = pl.Series([one["time_to_first_token"]["value"] for one in metrics])
    gaps_ms = pl.Series([gap for one in metrics for gap in one["inter_chunk_latency"]["value"]])
    return Told(
        version=_version(home, "aiperf"),
        requests=len(metrics),
        ttft_mean_ms=float(ttft_ms.mean()),  # type: ignore[arg-type]
        ttft_p99_ms=float(ttft_ms.quantile(0.99, "linear")),  # type: ignore[arg-type]
        itl_p99_ms=float(gaps_ms.quantile(0.99, "linear")),  # type: ignore[arg-type]
        itl_by_request=False,
    )


def guidellm(home: Path, url: str, load: Streams, tokenizer: Path, folder: Path) -> Told:
    """Run GuideLLM; its figures are those of its own summary."""
    results = folder / "guidellm.json"
    options = {
        # its check asks for a page that the OpenAI API does not have
        "backend": f"kind=openai_http,target={url},model=reference,validate_backend=false",
        "profile": f"kind=concurrent,streams={load.streams}",
        "constraint": f"kind=max_requests,count={load.requests}",
        "tokenizer": f"kind=huggingface_auto,model={tokenizer}",
        "data": f"kind=synthetic_text,prompt_tokens={INPUT_TOKENS},output_tokens={load.output_tokens}",
        "output": f"kind=json,path={results}",
    }
    arguments = [text for name, value in options.items() for text in (f"--{name}", value)]
    command = [str(home / "bin" / "guidellm"), "run", "--disable-console", *arguments]
    run(command, folder / "guidellm.out", cwd=folder)
    metrics = json.loads(results.read_text())["benchmarks"][0]["metrics"]
    ttft, itl = (metrics[name]["successful"] for name in ("time_to_first_token_ms", "inter_token_latency_ms"))
    return Told(
        version=_version(home, "guidellm"),
        requests=ttft["count"],
        ttft_mean_ms=ttft["mean"],
        ttft_p99_ms=ttft["percentiles"]["p99"],
        itl_p99_ms=itl["percentiles"]["p99"],
        itl_by_request=True,
    )


PEERS = {"aiperf": Peer("aiperf", aiperf), "guidellm": Peer("guidellm", guidellm)}


def _version(home: Path, package: str) -> str:
    ask = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run(
        [home / "bin" / "python", "-c", ask], capture_output=True, text=True, check=True
    ).stdout.strip()
