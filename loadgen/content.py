"""Content codings (gzip, deflate) taken off a body piece by piece, so that each byte keeps the time of its read."""

import zlib
from collections.abc import Iterable, Iterator

Piece = tuple[int, bytes]
"""Index of a read, and what it brought of the body."""


class ContentError(ValueError):
    """The body is not in the content coding that its header names."""


def is_coded(encoding: str) -> bool:
    """Whether a body has a content coding at all."""
    return encoding.strip().lower() not in ("", "identity")


def decode_pieces(pieces: Iterable[Piece], encoding: str) -> Iterable[Piece]:
    """Decoded pieces with their read index. Raises ContentError for garbage or a coding other than gzip, deflate.

    Garbage is found while iterating.
    """
    name = encoding.strip().lower()
    if not is_coded(encoding):
        return pieces
    if name not in ("gzip", "x-gzip", "deflate"):
        raise ContentError(f"content-encoding {name!r} was not asked for and is not read (gzip and deflate are)")
    return _inflated(pieces, name)


def _inflated(pieces: Iterable[Piece], name: str) -> Iterator[Piece]:
    decoder = None
    for index, piece in pieces:
        decoded, rest = b"", piece
        while rest:
            try:
                if decoder is None:
                    decoder = zlib.decompressobj(_window_bits(name, rest))
                decoded += decoder.decompress(rest)
            except zlib.error as error:
                raise ContentError(f"the body is not {name}: {error}") from None
            # a gzip body may be several members, as of a server that packs each event alone
            rest = decoder.unused_data if name != "deflate" else b""
            if decoder.eof and name != "deflate":
                decoder = None
        if decoded:
            yield index, decoded


def _window_bits(name: str, first: bytes) -> int:
    if name != "deflate":
        return zlib.MAX_WBITS | 16
    # "deflate" means a zlib stream, but some servers send it bare: a zlib header's method is 8
    return zlib.MAX_WBITS if first[:1] and first[0] & 0x0F == 8 else -zlib.MAX_WBITS
