"""Token chunks of one stream: when each came, the gaps between them, and how many tokens each holds."""

from collections import Counter
from dataclasses import dataclass

from loadgen.arrivals import Arrivals
from loadgen.generation import Generation
from loadgen.reads import gaps_us

LONGEST_GAP_US = 2**31 - 1
"""About 35.8 minutes: what an int32 holds."""


@dataclass(slots=True)
class Chunks:
    """Token chunks in order: monotonic stamps (ns), and the events and reported tokens of each.

    `merged_reads` counts reads that held several token events because the client was late: one chunk each.
    `stalled_s` is a gap that a trace cannot hold; the chunks end before it.
    """

    stamps: list[int]
    events: list[int]
    reported: list[int | None]
    merged_reads: int
    first_merged: bool
    stalled_s: float | None = None

    def gaps_us(self) -> list[int]:
        """Whole microseconds between chunks, floored cumulatively: they sum to (last - first) // 1000 ns."""
        return gaps_us(self.stamps)

    def tokens(self, output_tokens: int | None) -> tuple[list[int] | None, str | None]:
        """Tokens of each chunk and where they are from: `usage`, `events`, or `chunk_mean` (no list: only the mean).

        Null source where not even the mean is known.
        """
        if not self.stamps:
            return None, None
        by_usage = self._usage_steps()
        if by_usage:
            return by_usage, "usage"
        if self.merged_reads and output_tokens == sum(self.events):
            return list(self.events), "events"
        return None, "chunk_mean" if output_tokens else None

    def _usage_steps(self) -> list[int] | None:
        """Per-chunk counts, if every chunk came with the server's running count and brought at least one token."""
        steps, before = [], 0
        for reported in self.reported:
            if reported is None or reported <= before:
                return None
            steps.append(reported - before)
            before = reported
        return steps


def chunks_of(arrivals: Arrivals, generation: Generation) -> Chunks:
    """Group token events into chunks: the events of a late read are one chunk, all others stand alone."""
    reads, counts = generation.token_reads, generation.token_counts
    if not reads:
        return Chunks([], [], [], 0, False)
    stamps = [arrivals.stamps[read] for read in reads]
    if len(set(reads)) < len(reads) or stamps[-1] - stamps[0] >= LONGEST_GAP_US * 1000:
        return _grouped(arrivals.late, reads, stamps, counts)
    return Chunks(stamps, [1] * len(stamps), counts, 0, False)


def _grouped(late: list[bool], reads: list[int], stamps: list[int], counts: list[int | None]) -> Chunks:
    merged = {read for read, events in Counter(reads).items() if events > 1 and late[read]}
    chunks = Chunks([], [], [], len(merged), reads[0] in merged)
    last_read = -1
    for read, stamp, count in zip(reads, stamps, counts, strict=True):
        if read == last_read and read in merged:
            chunks.events[-1] += 1
            chunks.reported[-1] = count
            continue
        if chunks.stamps and (stamp - chunks.stamps[-1]) // 1000 >= LONGEST_GAP_US:
            chunks.stalled_s = (stamp - chunks.stamps[-1]) / 1e9
            break
        chunks.stamps.append(stamp)
        chunks.events.append(1)
        chunks.reported.append(count)
        last_read = read
    return chunks
