"""How large the pieces of a download are: what is asked for, kept in memory and written at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferSizes:
    """
    The sizes of downloads.

    Attributes:
        range_items: the items that one request asks for.
        small_bytes: less than this stays in memory and needs no part file.
        piece_bytes: of each further piece; handing a piece to another thread takes time.
        long_line_bytes: a line that has not ended is written in parts from this size on, so that
            an item of any size fits in memory.
        most_unknown_bytes: of a body without a length; a longer one does not end.
    """

    range_items: int = 25_000
    small_bytes: int = 256 * 1024
    piece_bytes: int = 1024 * 1024
    long_line_bytes: int = 4 * 1024 * 1024
    most_unknown_bytes: int = 4 * 1024**3


USUAL_SIZES = TransferSizes()
