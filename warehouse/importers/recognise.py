"""Which tool a JSON document is of, so that a file of another tool is told as such."""

from pathlib import Path
from typing import Any

from schemas.columns import LATENCY_METRICS
from schemas.errors import ResultFileError


def tool_of(document: Any) -> str | None:
    """The tool that wrote `document`; null where nothing tells."""
    if not isinstance(document, dict):
        return None
    keys = document.keys()
    if "benchmarks" in keys:
        return "guidellm"
    if "aiperf_version" in keys or {"metadata", "metrics"} <= keys:
        return "aiperf"
    if "experiments" in keys or ("input_config" in keys and isinstance(document.get("request_throughput"), dict)):
        return "genai-perf"
    if {"end_to_end_latency_s", "ttft_s"} <= keys or any(key.startswith("results_ttft_s") for key in keys):
        return "llmperf"
    if "total_output_tokens_retokenized" in keys or "mean_e2e_latency_ms" in keys:
        return "sglang"
    if {"request_throughput", "duration"} <= keys:
        return "vllm"
    return "csv" if any(key.rpartition("_")[0].rpartition("_")[0] in LATENCY_METRICS for key in keys) else None


def expect(path: Path, document: Any, *tools: str, where: str = "") -> None:
    """Raise ResultFileError unless `document` is of one of `tools`."""
    found = tool_of(document)
    if found not in tools:
        at = f"{path}: {where + ': ' if where else ''}"
        known = ", ".join(sorted(map(str, document))[:6]) if isinstance(document, dict) else type(document).__name__
        raise ResultFileError(
            f"{at}this is a result of {found}, not of {tools[0]}: ratecard import {found} {path} …"
            if found
            else f"{at}not a result of {tools[0]} (found {known}): is it the file that the tool wrote, whole?"
        )
