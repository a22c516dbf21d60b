"""Running counts over the rows of a level: for progress, for the stop rules and for the closing event."""

from collections import Counter
from typing import Any

LATE_SEND_NS = 5_000_000
_LEAST_FINISHED = 10
_LEAST_ALL_FAILED = 3


class Tally:
    """Counts the finished requests of one shard of a level.

    `round_size` requests are its first impression of the endpoint: the slots of a closed loop, a second of an open one.
    """

    def __init__(self, round_size: int) -> None:
        self._round_size = round_size
        self.done = 0
        self.failed = 0
        self.output_tokens = 0
        self.reads = 0
        self.merged_reads = 0
        self.late_sends = 0
        self.on_reused = 0  # requests on a connection that was open already
        self.waited_s = 0.0  # times to first token, added up
        self.outcomes: Counter[str] = Counter()
        self.clock_sources: Counter[str] = Counter()
        self.first_failure: dict[str, Any] | None = None
        self.probe: list[dict[str, int | None]] = []

    def add(self, row: dict[str, Any], prompt_chars: int, local_tokens: int | None = None) -> None:
        """Count a trace row; its prompt has `prompt_chars` characters and, by our own tokenizer, `local_tokens`."""
        self.done += 1
        self.outcomes[row["outcome"]] += 1
        self.clock_sources[row["clock_source"]] += 1
        self.output_tokens += row["output_tokens"] or 0
        self.reads += row["reads"]
        self.merged_reads += row["merged_reads"]
        if row["sent_ns"] is not None:
            self._add_sent(row)
        if row["outcome"] not in ("ok", "cancelled", "interrupted"):
            self.failed += 1
            what = {name: row[name] for name in ("outcome", "http_status", "error")}
            self.first_failure = self.first_failure or what | {"sent": row["sent_ns"] is not None}
        if row["phase"] == "probe":
            counts = {} if local_tokens is None else {"local_tokens": local_tokens}
            self.probe.append({"chars": prompt_chars, "input_tokens": row["input_tokens"], **counts})

    def _add_sent(self, row: dict[str, Any]) -> None:
        self.on_reused += row["connect_ns"] is None
        if row["first_token_ns"] is not None:
            self.waited_s += (row["first_token_ns"] - row["sent_ns"]) / 1e9
        if row["phase"] == "measure":
            waited_ns = row["sent_ns"] - row["scheduled_ns"] - (row["connect_ns"] or 0)
            self.late_sends += waited_ns > LATE_SEND_NS

    def errors_exceed(self, share: float, answered: int = 0) -> bool:
        """Whether failures are beyond `share`, once enough requests finished to say so.

        Enough are 10 and two rounds, or a first round (3 at the least) in which every request failed. Failures are
        counted at once: so many were `answered` and are not counted yet.
        """
        done = self.done + answered
        first_round_failed = done >= max(_LEAST_ALL_FAILED, self._round_size) and self.failed == done
        enough = done >= max(_LEAST_FINISHED, 2 * self._round_size)
        return (enough or first_round_failed) and self.failed > share * done
