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
def test_compressible_body_is_packed(size: int) -> None:
    """A body that gzip makes smaller comes back as gzip of the same bytes."""
    packed = compress(TEXT[:size])
    assert packed is not None
    assert gzip.decompress(packed) == TEXT[:size]


@pytest.mark.parametrize(
    "body",
    [b"small", os.urandom(2000), os.urandom(100_000)],
    ids=["small", "random", "large and random"],
)
def test_body_that_gains_nothing_stays_as_it_is(body: bytes) -> None:
    """Short and already packed bodies are not compressed."""
    assert compress(body) is None


@pytest.mark.parametrize("step", [1, 7, 100_000])
@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
        ("GZIP", gzip.compress(TEXT)),
    ],
    ids=["gzip", "gzip in two members", "gzip in capitals"],
)
def test_encoded_body_is_decoded(encoding: str, packed: bytes, step: int) -> None:
    """However a body is cut into pieces, it decodes to the same bytes."""
    decoder = decoder_for(encoding)
    assert decoder is not None
    pieces = [packed[at : at + step] for at in range(0, len(packed), step)]
    assert b"".join(chain.from_iterable(map(decoder.feed, pieces))) == TEXT
    decoder.finish()


def test_encoded_body_that_ends_early_is_noticed() -> None:
    """Half a compressed body is an error, even when the connection ended in good order."""
    decoder = decoder_for("gzip")
    assert decoder is not None
    list(decoder.feed(gzip.compress(TEXT)[:-10]))
    with pytest.raises(TruncatedBody):
        decoder.finish()


def test_body_of_another_encoding_is_noticed() -> None:
    """Bytes that are not what the header says are an error."""
    decoder = decoder_for("gzip")
    assert decoder is not None
    with pytest.raises(TruncatedBody):
        list(decoder.feed(zlib.compress(TEXT) * 3))


def test_few_bytes_that_decode_to_many_come_in_pieces() -> None:
    """A body that shrank a thousandfold does not fill the memory at once."""
    decoder = decoder_for("gzip")
    assert decoder is not None
    sizes = [len(piece) for piece in decoder.feed(gzip.compress(bytes(9_000_000)))]
    assert sum(sizes) == 9_000_000
    assert max(sizes) <= PIECE_BYTES


@pytest.mark.parametrize("encoding", ["", "identity"])
def test_plain_body_needs_no_decoder(encoding: str) -> None:
    """A body without encoding is taken as it is."""
    assert decoder_for(encoding) is None


def test_unknown_encoding_is_told() -> None:
    """An encoding that nobody asked for is an error of the platform."""
    with pytest.raises(TruncatedBody, match="zstd"):
        decoder_for("zstd")
