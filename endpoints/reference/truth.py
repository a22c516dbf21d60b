"""The truth log: for each request, when it came and when each token left. One JSON line a request."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Truth:
    """One request. Times are CLOCK_REALTIME nanoseconds; `sent_ns` has one entry for each chunk with tokens.

    `stamp` says whose clock reading `sent_ns` is: the kernel's when the chunk went out, or ours right before the
    write. The client that left before the end has as many entries as it was sent. `fault` is the kind of the fault that
    was asked for, if one was; an answer that was refused altogether has no record.
    """

    request_id: str | None
    prompt_sha256: str
    prompt_chars: int
    tokens_per_chunk: int
    received_ns: int
    received_stamp: str
    sent_ns: list[int]
    stamp: str
    fault: str | None


class TruthLog:
    """Keeps records in memory, since writing while tokens are due would make them late; `flush` appends them."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._records: list[Truth] = []
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")

    def add(self, record: Truth) -> None:
        """Keep one record, if there is a log at all."""
        if self._path is not None:
            self._records.append(record)

    def flush(self) -> None:
        """Append what was kept since the last flush. Raises OSError."""
        if self._path is None:
            return
        records, self._records = self._records, []
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(record)) + "\n" for record in records)
