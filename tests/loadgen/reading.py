"""Answers that no socket brings."""

from loadgen.arrivals import Arrivals
from loadgen.http1 import ResponseReader
from loadgen.receiver import PlainRecord


class Reading(ResponseReader):
    """A reader with a record of its own."""

    def __init__(self, arrivals: Arrivals, **options: bool) -> None:
        self.record = PlainRecord()
        super().__init__(self.record, arrivals, **options)

    def takes(self, data: bytes, read_at: int = 0) -> bool:
        """Whether the response is complete with this read."""
        if self.record.add(data, read_at, 0):
            self.parse()
        return self.complete
