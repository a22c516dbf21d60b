"""Sums over the reads of one answer: in C (`_reads.c`) where that could be compiled.

An answer has some hundred reads, and whatever is done for each of them in Python has to come into the caches first,
which other work has filled since the answer before.
"""

from itertools import pairwise
from operator import sub

from loadgen.arrivals import READ

try:
    from loadgen import _reads
except ImportError:
    _reads = None  # type: ignore[assignment]


def ends_of_in_python(table: bytes, /) -> list[int]:
    """Where each read of a `table` (`loadgen.receiver.Record`) ends in the bytes."""
    return [end for end, _, _ in READ.iter_unpack(table)]


def plain_stamps_in_python(table: bytes, offset_ns: int, sent_ns: int, slack_ns: int, /) -> list[int] | None:
    """Kernel stamps of the reads of a `table`, as monotonic nanoseconds, if every one is possible; else null.

    `offset_ns` is the wall clock less the monotonic one. A stamp is possible that is not before `sent_ns` nor the read
    before, not after its read, and at most `slack_ns` before it.
    """
    rows = list(READ.iter_unpack(table))
    stamps = [received - offset_ns for _, _, received in rows]
    lags = [read_at - stamp for (_, read_at, _), stamp in zip(rows, stamps, strict=True)]
    rises = all(before <= stamp for before, stamp in pairwise([sent_ns, *stamps]))
    return stamps if rises and (not lags or 0 <= min(lags) <= max(lags) <= slack_ns) else None


def gaps_us_in_python(stamps: list[int], /) -> list[int]:
    """Whole microseconds between rising `stamps` (ns), floored cumulatively: they sum to (last - first) // 1000."""
    marks = [(stamp - stamps[0]) // 1000 for stamp in stamps]
    return list(map(sub, marks[1:], marks))


ends_of = ends_of_in_python if _reads is None else _reads.ends_of
plain_stamps = plain_stamps_in_python if _reads is None else _reads.plain_stamps
gaps_us = gaps_us_in_python if _reads is None else _reads.gaps_us
