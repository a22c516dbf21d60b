"""Running counts over the rows of a level: for progress, for the stop rules and for the closing event."""

from collections import Counter
from typing import Any

_LATE_SEND_NS = 5_000_000
_LEAST_FINISHED = 10
_LEAST_ALL_FAILED = 3


class Tally:
    """Counts the finished requests of one shard of a level with `concurrency` slots."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self.done = 0
        self.failed = 0
        self.output_tokens = 0
        self.merged_reads = 0
        self.late_sends = 0
        self.outcomes: Counter[str] = Counter()
        self.clock_sources: Counter[str] = Counter()
        self.first_failure: dict[str, Any] | None = None
        self.probe: list[dict[str, int | None]] = []

    def add(self, row: dict[str, Any], prompt_chars: int) -> None:
        """Count a trace row; `prompt_chars` is the length of its prompt."""
        self.done += 1
        self.outcomes[row["outcome"]] += 1
        self.clock_sources[row["clock_source"]] += 1
        self.output_tokens += row["output_tokens"] or 0
        self.merged_reads += row["merged_reads"]
        if row["sent_ns"] is not None and row["phase"] == "measure":
            waited_ns = row["sent_ns"] - row["scheduled_ns"] - (row["connect_ns"] or 0)
            self.late_sends += waited_ns > _LATE_SEND_NS
        if row["outcome"] not in ("ok", "cancelled", "interrupted"):
            self.failed += 1
            self.first_failure = self.first_failure or {n: row[n] for n in ("outcome", "http_status", "error")}
        if row["phase"] == "probe":
            self.probe.append({"chars": prompt_chars, "input_tokens": row["input_tokens"]})

    def errors_exceed(self, share: float) -> bool:
        """Whether failures are beyond `share`, once enough requests finished to say so.

        Enough are 10 and two rounds of the slots, or a first round (3 at the least) in which every request failed.
        """
        first_round_failed = self.done >= max(_LEAST_ALL_FAILED, self._concurrency) and self.failed == self.done
        enough = self.done >= max(_LEAST_FINISHED, 2 * self._concurrency)
        return (enough or first_round_failed) and self.failed > share * self.done
