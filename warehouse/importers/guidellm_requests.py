"""The requests inside a GuideLLM benchmark: when each was sent and answered; chunk times are not in the file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from warehouse.importers.agreement import contradictions
from warehouse.importers.levels import Level, Rejected
from warehouse.importers.samples import mean
from warehouse.importers.traces import Record, Row

_KINDS = {"successful": "ok", "errored": "malformed", "incomplete": "cancelled"}
_BATCH = 4096
_TEXTS = ("request_args", "prompt", "output", "reasoning_output", "tool_calls")


class Requests:
    """The requests of one benchmark."""

    def __init__(self, path: Path, where: str, benchmark: dict[str, Any]) -> None:
        self.path, self.where = path, where
        listed = benchmark.get("requests") or {}
        self.all = [(kind, r) for kind in _KINDS for r in listed.get(kind) or [] if isinstance(r, dict)]
        self.count = len(self.all)
        totals = benchmark["metrics"].get("request_totals") or {}
        self.incomplete = totals.get("incomplete") or 0

    @property
    def has_times(self) -> bool:
        """Whether every answered request says when it was sent, and when its tokens came."""
        return all(
            _times(r)[0] is not None and _times(r)[1] is not None for kind, r in self.all if kind == "successful"
        )

    def contradictions(self, columns: dict[str, Any]) -> list[str]:
        """What the requests say other than the statistics: of all their means, of a sample its extremes."""
        ok = [r for kind, r in self.all if kind == "successful"]
        ttft, e2e = (
            [r[name] for r in ok if r.get(name) is not None] for name in ("time_to_first_token_ms", "request_latency")
        )
        if len(ok) == columns["completed_requests"]:
            return contradictions(
                {
                    "mean ttft ms": (columns.get("ttft_mean_ms"), mean(ttft) if ttft else None),
                    "mean latency ms": (columns.get("e2e_to_close_mean_ms"), 1000 * mean(e2e) if e2e else None),
                }
            )
        found = []
        for name, said, values in (
            ("ttft ms", columns.get("ttft_max_ms"), ttft),
            ("latency ms", columns.get("e2e_to_close_max_ms"), [1000 * value for value in e2e]),
        ):
            if said is not None and values and max(values) > said * 1.001:
                found.append(f"{name}: the statistics have a largest of {said:.6g}, a request has {max(values):.6g}")
        return found

    def records(self, level: Level) -> Iterator[list[Row]]:
        """The requests in the order in which they were sent."""
        seen: dict[str, int] = {}
        batch: list[Row] = []
        for index, (kind, request) in enumerate(sorted(self.all, key=lambda entry: _times(entry[1])[0] or 0)):
            name = request.get("request_id")
            problem = None
            if name is not None and seen.setdefault(name, index) != index:
                problem = f"request id {name} is there twice"
            elif _times(request)[0] is None:
                problem = "no request_start: a request without a time cannot be placed in a window"
            if problem:
                kept = {key: value for key, value in request.items() if key not in _TEXTS}
                level.rejected.append(Rejected(str(self.path), f"{self.where}.requests.{kind}", problem, kept))
                continue
            batch.append(_record(index, _KINDS[kind], request, level.load_kind))
            if len(batch) == _BATCH:
                yield batch
                batch = []
        if batch:
            yield batch


def _times(request: dict[str, Any]) -> tuple[float | None, float | None, float | None, float | None]:
    """Sent, first token, last token and end, in seconds of the wall clock."""
    timings = (request.get("info") or request.get("scheduler_info") or {}).get("timings") or {}
    sent = timings.get("request_start") or request.get("request_start_time") or request.get("start_time")
    first = timings.get("first_token_iteration") or timings.get("first_iteration") or request.get("first_token_time")
    last = timings.get("last_token_iteration") or timings.get("last_iteration") or request.get("last_token_time")
    end = timings.get("request_end") or request.get("request_end_time") or request.get("end_time")
    return sent, first, last, end


def _record(index: int, outcome: str, request: dict[str, Any], load_kind: str) -> Record:
    sent, first, last, end = (None if t is None else round(t * 1e9) for t in _times(request))
    timings = (request.get("info") or {}).get("timings") or {}
    # in a closed loop it is not when a slot became free
    targeted = timings.get("targeted_start") if load_kind == "open" else None
    tokens_in, tokens_out = request.get("prompt_tokens"), request.get("output_tokens")
    error = (request.get("info") or {}).get("error") or request.get("error")
    assert sent is not None
    return Record(
        request_index=index, scheduled_ns=round(targeted * 1e9) if targeted and targeted * 1e9 <= sent else None, sent_ns=sent, headers_ns=None,
        first_token_ns=first, first_answer_ns=None, last_token_ns=last if first is not None else None,
        closed_ns=max(end or sent, last or sent), phase="measure", outcome=outcome, http_status=None,
        error=str(error)[:500] if error and outcome != "ok" else None, input_tokens=tokens_in,
        cached_input_tokens=request.get("cached_tokens"), output_tokens=tokens_out, reasoning_tokens=None,
        input_token_source=None if tokens_in is None else "tool", output_token_source=None if tokens_out is None else "tool",
        gaps_ms=None, response_bytes=None,
    )  # fmt: skip
