"""Content codings (gzip, deflate) taken off a body piece by piece, so that each byte keeps the time of its read."""

import zlib
from collections.abc import Iterable, Iterator


class ContentError(ValueError):
    """The body is not in the content coding that its header names."""


def decode_pieces(pieces: Iterable[tuple[int, bytes]], encoding: str) -> Iterator[tuple[int, bytes]]:
    """Decoded pieces with their read index. Raises ContentError for garbage or a coding other than gzip, deflate."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        yield from pieces
        return
    if name not in ("gzip", "x-gzip", "deflate"):
        raise ContentError(f"content-encoding {name!r} was not asked for and is not read (gzip and deflate are)")
    decoder = None
    for index, piece in pieces:
        try:
            if decoder is None:
                decoder = zlib.decompressobj(_window_bits(name, piece))
            decoded = decoder.decompress(piece)
        except zlib.error as error:
            raise ContentError(f"the body is not {name}: {error}") from None
        if decoded:
            yield index, decoded


def _window_bits(name: str, first: bytes) -> int:
    if name != "deflate":
        return zlib.MAX_WBITS | 16
    # "deflate" means a zlib stream, but some servers send it bare: a zlib header's method is 8
    return zlib.MAX_WBITS if first[:1] and first[0] & 0x0F == 8 else -zlib.MAX_WBITS
