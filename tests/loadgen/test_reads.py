"""Sums over the reads of an answer: alike in C and in Python."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen import reads

SLACK = 50
OFFSET = 1_700_000_000_000_000_000

in_both = pytest.mark.parametrize(
    ("ends_of", "plain_stamps", "gaps_us"),
    [
        pytest.param(reads.ends_of, reads.plain_stamps, reads.gaps_us, id="as installed"),
        pytest.param(reads.ends_of_in_python, reads.plain_stamps_in_python, reads.gaps_us_in_python, id="in Python"),
    ],
)


def table(*rows: tuple[int, int, int]) -> bytes:
    return b"".join(struct.pack("=3q", *row) for row in rows)


def stamped(*pairs: tuple[int, int]) -> bytes:
    """Reads at these times with these stamps, both monotonic."""
    return table(*((number, read_at, OFFSET + stamp) for number, (read_at, stamp) in enumerate(pairs)))


@in_both
def test_what_is_summed(ends_of, plain_stamps, gaps_us) -> None:  # type: ignore[no-untyped-def]
    assert ends_of(table((7, 1, 2), (2**40, 3, 4))) == [7, 2**40]
    assert ends_of(b"") == []
    assert plain_stamps(stamped((100, 90), (140, 90), (150, 150)), OFFSET, 90, SLACK) == [90, 90, 150]
    assert gaps_us([5_000_999, 5_001_998, 5_003_000, 5_003_000]) == [0, 2, 0]
    assert (gaps_us([]), gaps_us([7])) == ([], [])


@in_both
@pytest.mark.parametrize(
    "impossible",
    [
        pytest.param(stamped((100, 89)), id="before it was sent"),
        pytest.param(stamped((100, 101)), id="after its read"),
        pytest.param(stamped((141, 90)), id="longer ago than the slack"),
        pytest.param(stamped((100, 95), (101, 94)), id="before the one before"),
        pytest.param(table((1, 100, 0)), id="none"),
    ],
)
def test_one_impossible_stamp_and_none_is_taken(ends_of, plain_stamps, gaps_us, impossible: bytes) -> None:  # type: ignore[no-untyped-def]
    assert plain_stamps(impossible, OFFSET, 90, SLACK) is None


@pytest.mark.skipif(reads.ends_of is reads.ends_of_in_python, reason="nothing was compiled here")
@given(
    st.lists(st.tuples(st.integers(0, 2**62), st.integers(0, 300), st.integers(-5, 60)), min_size=1, max_size=5),
    st.integers(0, 100),
)
def test_both_sum_alike(drawn: list[tuple[int, int, int]], sent_ns: int) -> None:
    rising = sorted(read_at for _, read_at, _ in drawn)
    made = table(*((end, at, OFFSET + at - lag) for (end, _, lag), at in zip(drawn, rising, strict=True)))
    stamps = reads.plain_stamps_in_python(made, OFFSET, sent_ns, SLACK)
    assert reads.plain_stamps(made, OFFSET, sent_ns, SLACK) == stamps
    assert reads.ends_of(made) == reads.ends_of_in_python(made)
    assert reads.gaps_us([1000 * at for at in rising]) == reads.gaps_us_in_python([1000 * at for at in rising])
