"""Like chunks of an HTTP body, read by sight: in C (`_chunks.c`) where that could be compiled."""

import re

try:
    from loadgen import _chunks
except ImportError:
    _chunks = None  # type: ignore[assignment]

_SIZE = re.compile(rb"([1-9a-fA-F][0-9a-fA-F]{0,7})\r\n")


def like_chunks_in_python(wire: bytes, at: int, before: bytes, after: bytes, /) -> tuple[list[bytes], list[int]]:
    """The chunks of `wire` from `at` on that are `before`, more than nothing, `after`: their insides, and where each ends.

    Up to the first that is not, or whose size is not written as servers write it: hexadecimal digits, no leading zero,
    no extension.
    """
    insides: list[bytes] = []
    ends: list[int] = []
    while size := _SIZE.match(wire, at):
        begin = size.end()
        end = begin + int(size[1], 16)
        inside = wire[begin + len(before) : end - len(after)]
        if not inside or wire[begin : end + 2] != b"%b%b%b\r\n" % (before, inside, after):
            break
        at = end + 2
        insides.append(inside)
        ends.append(at)
    return insides, ends


like_chunks = like_chunks_in_python if _chunks is None else _chunks.like_chunks
