"""
Bodies on the wire: what is compressed, and how an answer's encoding is undone and checked.

Decoding is ours rather than the HTTP library's, so that a compressed body that ends too early is
noticed even where the framing around it is complete.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Protocol

from orchestrator.errors import TruncatedBody

ACCEPTED = "gzip"
"""Not brotli: its decoder has no limit for the output of one call."""

# A smaller body fits into one packet as it is.
WORTH_COMPRESSING_BYTES = 1024
SAMPLE_BYTES = 16 * 1024
WORTH_GAINING = 0.9
LEVEL = 5
# zlib's code for gzip: 15 bits of window, plus 16 for the header and the checksum.
GZIP_WINDOW = 31
PIECE_BYTES = 256 * 1024


def compress(body: bytes) -> bytes | None:
    """The body as gzip; None where that would not make it at least a tenth smaller."""
    if len(body) < WORTH_COMPRESSING_BYTES:
        return None
    # Images and archives do not shrink: a sample shows it without compressing all.
    if len(body) > SAMPLE_BYTES:
        sample = body[:SAMPLE_BYTES]
        if len(_gzip(sample)) > len(sample) * WORTH_GAINING:
            return None
    packed = _gzip(body)
    return packed if len(packed) <= len(body) * WORTH_GAINING else None


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP_WINDOW)
    return packer.compress(body) + packer.flush()


class Decoder(Protocol):
    """Undoes one encoding."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """
        Decodes the next bytes, in pieces of at most `PIECE_BYTES`.

        Read all pieces before the next call: a few bytes may decode to very many.

        Raises:
            TruncatedBody: they are not of this encoding.
        """
        ...

    def finish(self) -> None:
        """
        Checks that the body is complete; called at its end.

        Raises:
            TruncatedBody: the encoded stream has not ended.
        """


def decoder_for(encoding: str) -> Decoder | None:
    """
    What undoes a Content-Encoding; None for a body that is as it is.

    Raises:
        TruncatedBody: the body cannot be decoded: this encoding was not asked for.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return GzipDecoder()
        case other:
            raise TruncatedBody(
                f"the answer has the encoding {other[:40]!r}, which was not asked for"
            )


class GzipDecoder:
    """Decodes gzip, also when it consists of several members."""

    def __init__(self) -> None:
        self._unpacker = zlib.decompressobj(GZIP_WINDOW)
        self._began = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decodes the next bytes."""
        self._began = self._began or bool(data)
        try:
            while data:
                if self._unpacker.eof:
                    self._unpacker = zlib.decompressobj(GZIP_WINDOW)
                text = self._unpacker.decompress(data, PIECE_BYTES)
                data = self._unpacker.unconsumed_tail or self._unpacker.unused_data
                if text:
                    yield text
        except zlib.error as error:
            raise TruncatedBody(f"the answer is not the gzip that it claims: {error}") from error

    def finish(self) -> None:
        """Checks that the body is complete; called at its end."""
        # An empty body is complete, also when it names an encoding.
        if self._began and not self._unpacker.eof:
            raise TruncatedBody("the answer's gzip ended in the middle")
