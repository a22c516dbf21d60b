"""What is known of a workload before anything is sent: for the plan, and through it for the warehouse."""

from statistics import fmean
from typing import Any

from loadgen.datasets import read_dataset
from loadgen.lengths import mean
from schemas.trace_file import read_trace


def workload_facts(config: dict[str, Any]) -> dict[str, Any]:
    """Facts of a workload (`schemas.catalog.workloads.Workload` as JSON). Raises SpecError for files that cannot be read.

    `input_tokens_mean` and `output_tokens_mean`: mean lengths as they are asked for, null where they are not known
    beforehand; with turns, the input is what each adds. `entries` and `entries_skipped`: how many requests a trace or
    data set has and how many of them cannot be sent; null where no file brings them.
    """
    if config["trace"] is not None:
        trace = read_trace(config["trace"])
        return _facts(trace.mean_input_tokens, trace.mean_output_tokens, len(trace), trace.skipped)
    output_tokens = None if config["output_tokens"] is None else mean(config["output_tokens"])
    if config["dataset"] is None:
        return _facts(mean(config["input_tokens"]), output_tokens, None, None)
    dataset = read_dataset(config["dataset"])
    playable = dataset.playable(output_tokens is not None)
    stated = [entry.output_tokens for entry in playable if entry.output_tokens is not None]
    if output_tokens is None and stated and len(stated) == len(playable):
        output_tokens = fmean(stated)
    return _facts(None, output_tokens, len(playable), dataset.skipped + len(dataset.entries) - len(playable))


def _facts(
    input_tokens: float | None, output_tokens: float | None, entries: int | None, skipped: int | None
) -> dict[str, Any]:
    return {
        "input_tokens_mean": input_tokens,
        "output_tokens_mean": output_tokens,
        "entries": entries,
        "entries_skipped": skipped,
    }
