"""
Makes aioresponses work with aiohttp 3.14, whose answers need one more argument.

aioresponses 0.7.9 builds `ClientResponse` without `stream_writer`, which no longer has a default.
It also gives it a protocol that cannot pause, which bodies of more than 128 KiB need.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import Mock, patch

from aiohttp import ClientResponse, StreamReader
from aiohttp.client_proto import ResponseHandler
from aioresponses import aioresponses, core


class MockedResponse(ClientResponse):
    """A response that no server has sent."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", Mock(output_size=0))
        super().__init__(*args, **kwargs)


class UnpausableHandler(ResponseHandler):
    """A protocol without a connection."""

    def pause_reading(self) -> None:
        """Does nothing: there is no connection to pause."""

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Does nothing: there is no connection to resume."""


def _stream_reader(loop: Any = None) -> StreamReader:
    return StreamReader(UnpausableHandler(loop=loop), limit=2**16, loop=loop)


@contextmanager
def mocked_http() -> Iterator[aioresponses]:
    """Gives answers to aiohttp's session without a network."""
    with (
        patch.object(core, "stream_reader_factory", _stream_reader),
        aioresponses() as mock,
        patch.object(mock, "add", partial(mock.add, response_class=MockedResponse)),
    ):
        yield mock
