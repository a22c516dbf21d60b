"""What a level says, as a hash and a few figures: equal for equal measurements, however their files are written."""

import hashlib
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from schemas.digest import digest
from warehouse.importers.levels import Level

_HASHED = ("sent_ns", "first_token_ns", "last_token_ns", "closed_ns", "input_tokens", "output_tokens")
_NONE = -(2**63)


class Content:
    """The hash of a level's records or figures, and figures to show two of them beside each other."""

    def __init__(self) -> None:
        self.rows = 0
        self.figures: dict[str, Any] = {}
        self._hash = hashlib.sha256()
        self._sums = {"ttft_ms": 0, "e2e_ms": 0, "input_tokens": 0, "output_tokens": 0}
        self._ok = 0
        self._ended: datetime | None = None
        self._sha256: str | None = None

    @classmethod
    def of_summary(cls, columns: dict[str, Any]) -> "Content":
        """Of the columns of a summary point."""
        content = cls()
        content.rows, content.figures = 1, {name: value for name, value in columns.items() if value is not None}
        content._sha256 = digest(content.figures)
        return content

    @property
    def sha256(self) -> str:
        """Hash of all that was added."""
        return self._sha256 or self._hash.hexdigest()

    def add(self, table: pa.Table) -> None:
        """Add records, in order."""
        for name in _HASHED:
            self._hash.update(_bytes(table.column(name).combine_chunks().fill_null(_NONE), 8))
        gaps = table.column("gaps_us").combine_chunks()
        self._hash.update(_bytes(pc.list_value_length(gaps).fill_null(-1), 4))
        self._hash.update(_bytes(pc.list_flatten(gaps), 4))
        outcomes = table.column("outcome")
        self._hash.update("\n".join(map(str, outcomes.to_pylist())).encode())
        self.rows += table.num_rows
        self._add_figures(table, pc.equal(outcomes, pa.scalar("ok")))

    def _add_figures(self, table: pa.Table, is_ok: Any) -> None:
        ok = table.filter(is_ok)
        self._ok += ok.num_rows
        sent = ok.column("sent_ns")
        for name, end in (("ttft_ms", "first_token_ns"), ("e2e_ms", "last_token_ns")):
            self._sums[name] += pc.sum(pc.subtract(ok.column(end), sent)).as_py() or 0
        for name in ("input_tokens", "output_tokens"):
            self._sums[name] += pc.sum(ok.column(name)).as_py() or 0
        last = pc.max(table.column("closed_ns")).as_py()
        ended = table.column("epoch_wall_at")[0].as_py() + timedelta(microseconds=last // 1000)
        self._ended = max(ended, self._ended or ended)
        self.figures = {
            "requests": self.rows,
            "completed_requests": self._ok,
            "ttft_mean_ms": self._sums["ttft_ms"] / 1e6 / self._ok if self._ok else None,
            "e2e_mean_ms": self._sums["e2e_ms"] / 1e6 / self._ok if self._ok else None,
            "input_tokens": self._sums["input_tokens"],
            "output_tokens": self._sums["output_tokens"],
        }

    def differences(self, kept: dict[str, Any]) -> list[tuple[str, Any, Any]]:
        """Figures that differ: name, the one kept, the one offered."""
        names = dict.fromkeys([*kept, *self.figures])
        return [(n, kept.get(n), self.figures.get(n)) for n in names if kept.get(n) != self.figures.get(n)]

    def ended(self, level: Level, run: dict[str, Any]) -> str:
        """When the test ended, as far as the file says it."""
        began = level.started_at or datetime.fromisoformat(run["night"])
        return (self._ended or began + timedelta(seconds=self.figures.get("duration_s") or 0)).isoformat()


def _bytes(array: Any, width: int) -> bytes:
    """The values of `array`, which has no nulls, as little-endian bytes."""
    buffer = array.buffers()[1]
    return (
        b""
        if buffer is None
        else memoryview(buffer)[array.offset * width : (array.offset + len(array)) * width].tobytes()
    )
