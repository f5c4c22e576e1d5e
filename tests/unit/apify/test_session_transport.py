from __future__ import annotations

import pytest
from pydantic import SecretStr

from orchestrator.apify import ApifyClient, ClientOptions
from orchestrator.apify.http.session_transport import SessionTransport
from orchestrator.errors import NoRoom, StartUnconfirmed
from orchestrator.model.ids import RunId
from orchestrator.model.jobs import Target, TargetKind
from tests.support.aioresponses_shim import mocked_http

ROOT = "https://api.example"
ACTOR = Target(kind=TargetKind.ACTOR, id="a/b")


def client() -> ApifyClient:
    options = ClientOptions(base_url=ROOT, token=SecretStr("t"))
    return ApifyClient(options, transport=SessionTransport(ROOT))


async def test_run_is_read_through_the_session() -> None:
    """A client behind a proxy reads a run as a direct one does."""
    with mocked_http() as mock:
        mock.get(
            f"{ROOT}/v2/actor-runs/r1?waitForFinish=60",
            payload={"data": {"id": "r1", "status": "SUCCEEDED"}},
        )
        async with client() as apify:
            run = await apify.runs.get(RunId("r1"), wait_secs=60)
    assert run.facts().is_terminal


async def test_refusal_is_named_through_the_session() -> None:
    """A client behind a proxy distinguishes a full account from a lost answer."""
    full = {"error": {"type": "actor-memory-limit-exceeded", "message": "Full."}}
    with mocked_http() as mock:
        mock.post(f"{ROOT}/v2/acts/a~b/runs", status=402, payload=full)
        async with client() as apify:
            with pytest.raises(NoRoom, match="Full"):
                await apify.runs.start(ACTOR, body=b"{}")


async def test_timeout_of_a_start_is_unconfirmed_through_the_session() -> None:
    """A start that times out at a proxy may have had an effect."""
    with mocked_http() as mock:
        mock.post(f"{ROOT}/v2/acts/a~b/runs", timeout=True)
        async with client() as apify:
            with pytest.raises(StartUnconfirmed):
                await apify.runs.start(ACTOR, body=b"{}")
