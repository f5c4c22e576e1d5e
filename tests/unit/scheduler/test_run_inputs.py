"""How a run without a visible user agent is recognised by its input and its options."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import anyio
import pytest

from orchestrator.apify import models
from orchestrator.errors import NotFound
from orchestrator.model.jobs import RunOptions, Target
from orchestrator.scheduler.decide.ownership import contains
from tests.support.builders import NOON
from tests.support.virtual_time import run_virtual
from tests.unit.scheduler.listed_runs import Body, FakePlatform, finder_of, run_json, sent


def test_run_without_an_agent_is_recognised_by_input_and_options() -> None:
    """If no user agent is shown, an unclaimed run with the same input and options is taken."""

    async def scenario() -> None:
        platform = FakePlatform(
            [
                run_json("foreign", None, act_id="act2"),
                run_json("before", None, secs=-2),
                run_json("neighbour", None),
                run_json("mine", None),
                run_json("big", None, 4096),
                run_json("other", None),
            ],
            inputs={
                "s-foreign": b'{"a":1}',
                "s-before": b'{"a":1}',
                "s-neighbour": b'{"a":1}',
                "s-mine": b'{"a":1,"b":2}',
                "s-big": b'{"a":1}',
                "s-other": b'{"a":2}',
            },
        )
        finder = finder_of(platform, others=frozenset({"neighbour"}))
        attempt = sent(options=RunOptions(memory_mbytes=1024))
        assert (await finder.find(attempt)).run is None
        found = await finder.find_by_input(attempt, b'{"a":1}')
        assert found.id == "mine"
        assert await finder.find_by_input(attempt, b'{"a":1}') is None

    run_virtual(scenario)


def test_run_without_options_is_recognised_by_its_input() -> None:
    """Options that the platform does not show neither match nor exclude a run."""

    async def scenario() -> None:
        run = run_json("mine", None)
        del run["options"]
        finder = finder_of(FakePlatform([run], inputs={"s-mine": b'{"a":1}'}))
        attempt = sent(options=RunOptions(memory_mbytes=1024))
        assert (await finder.find(attempt)).run is None
        assert (await finder.find_by_input(attempt, b'{"a":1}')).id == "mine"

    run_virtual(scenario)


def test_run_whose_start_is_shown_in_whole_seconds_is_recognised_by_its_input() -> None:
    """It began after the intent, though the second of its start began before that."""

    async def scenario() -> None:
        finder = finder_of(FakePlatform([run_json("mine", None)], inputs={"s-mine": b"{}"}))
        attempt = replace(sent(), platform_at=NOON + timedelta(milliseconds=900))
        assert (await finder.find(attempt)).run is None
        assert (await finder.find_by_input(attempt, b"{}")).id == "mine"

    run_virtual(scenario)


def test_run_of_another_program_with_the_same_input_is_not_taken() -> None:
    """Its user agent shows who started it, also if lists leave that out."""

    async def scenario() -> None:
        platform = FakePlatform([run_json("theirs", "curl")], False, inputs={"s-theirs": b"{}"})
        finder = finder_of(platform)
        assert (await finder.find(sent())).run is None
        assert await finder.find_by_input(sent(), b"{}") is None

    run_virtual(scenario)


@pytest.mark.parametrize(
    ("record", "sent", "holds"),
    [
        (b'{"a": 1, "b": [2]}', b'{"b":[2]}', True),
        (b'{"a": 1}', b'{"a":2}', False),
        (b'{"a": 1}', b'{"b":1}', False),
        (b"raw", b"raw", True),
        (b"raw", b"{}", False),
    ],
)
def test_record_is_compared_by_its_json_values(record: bytes, sent: bytes, holds: bool) -> None:
    """The platform may add properties; all values that were sent must be there unchanged."""
    assert contains(record, sent) is holds


def test_input_that_cannot_be_read_is_requested_again() -> None:
    """A few unexpected answers do not exclude a run, which is taken within some seconds."""

    class Odd(FakePlatform):
        failures = 3

        @asynccontextmanager
        async def stream_record(self, store_id: str, _key: str) -> AsyncIterator[Body]:
            if self.failures:
                self.failures -= 1
                raise NotFound("gone", method="GET", path="/record", status=404)
            yield Body(self.inputs[store_id])

    async def scenario() -> None:
        finder = finder_of(Odd([run_json("mine", None)], inputs={"s-mine": b"{}"}))
        assert (await finder.find(sent())).run is None
        began = anyio.current_time()
        assert (await finder.find_by_input(sent(), b"{}")).id == "mine"
        assert anyio.current_time() - began == pytest.approx(1 + 2 + 4)

    run_virtual(scenario)


def test_run_of_an_unknown_actor_is_recognised_by_its_input() -> None:
    """If the Actor cannot be read, a run cannot be excluded as one of another Actor."""

    class Unknown(FakePlatform):
        async def get_target(self, _target: Target) -> models.Actor:
            raise NotFound("gone", method="GET", path="/act", status=404)

    async def scenario() -> None:
        finder = finder_of(Unknown([run_json("mine", None)], inputs={"s-mine": b"{}"}))
        assert (await finder.find(sent())).run is None
        assert (await finder.find_by_input(sent(), b"{}")).id == "mine"

    run_virtual(scenario)
