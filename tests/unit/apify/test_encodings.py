from __future__ import annotations

import gzip
import os
import zlib
from itertools import chain

import pytest

from orchestrator.apify.http.encodings import PIECE_BYTES, compress, decoder_for
from orchestrator.errors import TruncatedBody

TEXT = b"the same words again and again, " * 1000


@pytest.mark.parametrize("size", [1024, 200_000])
def test_compressible_body_is_compressed(size: int) -> None:
    """A body that gzip makes smaller is compressed, and decompresses to the same bytes."""
    compressed = compress(TEXT[:size])
    assert compressed is not None
    assert gzip.decompress(compressed) == TEXT[:size]


@pytest.mark.parametrize(
    "body",
    [b"small", os.urandom(2000), os.urandom(100_000)],
    ids=["small", "random", "large and random"],
)
def test_body_that_would_not_shrink_is_not_compressed(body: bytes) -> None:
    """Short bodies and bodies that are compressed already are not compressed."""
    assert compress(body) is None


@pytest.mark.parametrize("step", [1, 7, 100_000])
@pytest.mark.parametrize(
    ("encoding", "compressed"),
    [
        ("gzip", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
        ("GZIP", gzip.compress(TEXT)),
    ],
    ids=["gzip", "gzip in two members", "gzip in capitals"],
)
def test_encoded_body_is_decoded(encoding: str, compressed: bytes, step: int) -> None:
    """A body that arrives in any pieces decodes to the same bytes."""
    decoder = decoder_for(encoding)
    assert decoder is not None
    pieces = [compressed[at : at + step] for at in range(0, len(compressed), step)]
    assert b"".join(chain.from_iterable(map(decoder.feed, pieces))) == TEXT
    decoder.finish()


def test_encoded_body_that_ends_early_is_an_error() -> None:
    """Half a compressed body is an error, even if the connection ended properly."""
    decoder = decoder_for("gzip")
    assert decoder is not None
    list(decoder.feed(gzip.compress(TEXT)[:-10]))
    with pytest.raises(TruncatedBody):
        decoder.finish()


def test_body_of_another_encoding_is_an_error() -> None:
    """Bytes that do not match the header are an error."""
    decoder = decoder_for("gzip")
    assert decoder is not None
    with pytest.raises(TruncatedBody):
        list(decoder.feed(zlib.compress(TEXT) * 3))


def test_large_decoded_body_arrives_in_pieces() -> None:
    """A small body that decodes to a very large one does not fill the memory at once."""
    decoder = decoder_for("gzip")
    assert decoder is not None
    sizes = [len(piece) for piece in decoder.feed(gzip.compress(bytes(9_000_000)))]
    assert sum(sizes) == 9_000_000
    assert max(sizes) <= PIECE_BYTES


@pytest.mark.parametrize("encoding", ["", "identity"])
def test_plain_body_needs_no_decoder(encoding: str) -> None:
    """A body without encoding stays as it is."""
    assert decoder_for(encoding) is None


def test_unknown_encoding_is_an_error() -> None:
    """An encoding that the client did not request is an error of the platform."""
    with pytest.raises(TruncatedBody, match="zstd"):
        decoder_for("zstd")
