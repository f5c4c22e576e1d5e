"""The client on the emulator; every request is compared with the official description."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from apify_emulator import Emulator, EmulatorOptions, FaultKind, FaultRule, Faults, serve_emulator
from orchestrator.apify import ApifyClient, ClientOptions, Request
from orchestrator.apify.http.direct_transport import DirectTransport
from orchestrator.errors import (
    InputRejected,
    NoRoom,
    NotAuthorized,
    NotFound,
    RunFailed,
    StartUnconfirmed,
    TransientError,
)
from orchestrator.model.ids import DatasetId, Mark, RunId, StoreId
from orchestrator.model.jobs import ItemsQuery, RunOptions, Target, TargetKind
from tests.support.openapi import watched_emulator
from tests.support.openapi_requests import mistakes_of_request

ACTOR = Target(kind=TargetKind.ACTOR, id="orchestrator/simulated")
MARK = Mark("k3x9.1.1.1")


class CheckedTransport(DirectTransport):
    """Real HTTP that refuses requests without a place in the description."""

    def send(self, request: Request) -> Any:
        content_type = request.headers.get("Content-Type")
        packed = "Content-Encoding" in request.headers
        body = None if packed else request.body
        assert not mistakes_of_request(
            request.method, request.url, content_type=content_type, body=body
        )
        return super().send(request)


def client_of(platform: Emulator, **options: Any) -> ApifyClient:
    chosen = ClientOptions(base_url=platform.url, token=platform.token, **options)
    return ApifyClient(chosen, transport=CheckedTransport(platform.url))


@asynccontextmanager
async def client_and_platform(
    folder: Path, *, faults: tuple[FaultRule, ...] = (), **options: Any
) -> AsyncIterator[ApifyClient]:
    """A client on a new platform whose answers are checked, unless they have faults."""
    chosen = EmulatorOptions(
        data_dir=folder, faults=Faults(rules=faults) if faults else None, **options
    )
    serve: AbstractAsyncContextManager[Emulator] = (
        serve_emulator(chosen) if faults else watched_emulator(chosen)
    )
    async with serve as platform, client_of(platform) as client:
        yield client


def given(**fields: Any) -> bytes:
    return orjson.dumps({"duration_secs": 0.02, "items": 3} | fields)


async def items_of(client: ApifyClient, dataset_id: str, query: ItemsQuery | None = None) -> bytes:
    async with client.storages.stream_items(DatasetId(dataset_id), query) as download:
        return await download.read()


async def test_run_is_started_followed_and_collected(tmp_path: Path) -> None:
    """Start, wait, items, record, keys and log of one run agree."""
    async with client_and_platform(tmp_path) as client:
        options = RunOptions(
            timeout_secs=60, memory_mbytes=256, max_total_charge_usd=Decimal("1.5"), build="latest"
        )
        body = given(output={"a": 1}, log_lines=2)
        started = await client.runs.start(ACTOR, body=body, options=options, mark=MARK)
        ended = await client.runs.get(RunId(started.id), wait_secs=60)
        assert ended.status == "SUCCEEDED"
        assert ended.options is not None
        assert (ended.options.memory_mbytes, ended.options.timeout_secs) == (256, 60)
        assert MARK in (ended.facts().user_agent or "")
        lines = (await items_of(client, ended.default_dataset_id)).splitlines()
        assert len(lines) == 3
        store = StoreId(ended.default_key_value_store_id)
        async with client.storages.stream_record(store, "OUTPUT") as download:
            assert download.content_type.startswith("application/json")
            assert orjson.loads(await download.read()) == {"a": 1}
        keys = await client.storages.list_keys(store)
        assert {"INPUT", "OUTPUT"} <= {item.key for item in keys.items}
        async with client.runs.stream_log(RunId(ended.id)) as download:
            assert (await download.read()).count(b"\n") >= 2


async def test_start_may_wait_for_the_end(tmp_path: Path) -> None:
    """A short run has ended when the answer to its start arrives."""
    async with client_and_platform(tmp_path) as client:
        run = await client.runs.start(ACTOR, body=given(), wait_secs=30)
        assert run.facts().is_terminal


async def test_large_input_arrives_unchanged(tmp_path: Path) -> None:
    """The INPUT record has the bytes and the content type that were sent, despite compression."""
    text = given(item={"text": "the same again " * 500})
    kind = "application/json; charset=utf-8"
    async with client_and_platform(tmp_path) as client:
        run = await client.runs.start(ACTOR, body=text, content_type=kind, wait_secs=10)
        store = StoreId(run.default_key_value_store_id)
        async with client.storages.stream_record(store, "INPUT") as download:
            assert download.content_type == kind
            assert await download.read() == text


async def test_run_is_found_in_the_list_by_its_mark(tmp_path: Path) -> None:
    """A list of the runs since a start has the run with its mark."""
    since = datetime.now(UTC) - timedelta(minutes=1)
    async with client_and_platform(tmp_path) as client:
        started = await client.runs.start(ACTOR, body=given(), mark=MARK)
        await client.runs.start(ACTOR, body=given())
        page = await client.runs.list(started_after=since)
        assert (page.total, len(page.items)) == (2, 2)
        found = [item.id for item in page.items if MARK in (item.facts().user_agent or "")]
        assert found == [started.id]
        assert len((await client.runs.list(target=ACTOR, limit=1, desc=True)).items) == 1
        assert (await client.runs.list(started_before=since)).total == 0


async def test_run_is_aborted_and_resurrected(tmp_path: Path) -> None:
    """An aborted run can continue with its own storages."""
    async with client_and_platform(tmp_path) as client:
        started = await client.runs.start(ACTOR, body=given(duration_secs=60))
        run_id = RunId(started.id)
        await client.runs.abort(run_id)
        aborted = await client.runs.get(run_id, wait_secs=10)
        assert aborted.status == "ABORTED"
        again = await client.runs.resurrect(run_id, RunOptions(timeout_secs=90))
        assert again.default_dataset_id == started.default_dataset_id
        assert (again.facts().resurrect_count or 0) == 1
        await client.runs.abort(run_id, gracefully=True)


async def test_sync_start_answers_with_the_output(tmp_path: Path) -> None:
    """One request runs an Actor and returns its output record."""
    async with client_and_platform(tmp_path) as client:
        async with client.runs.run_sync(ACTOR, body=given(output={"a": 1}), mark=MARK) as download:
            assert orjson.loads(await download.read()) == {"a": 1}
        page = await client.runs.list()
        assert MARK in (page.items[0].facts().user_agent or "")


async def test_sync_start_answers_with_the_items(tmp_path: Path) -> None:
    """One request runs an Actor and returns its items."""
    async with (
        client_and_platform(tmp_path) as client,
        client.runs.run_sync_items(ACTOR, body=given(items=5)) as download,
    ):
        assert download.total == 5
        assert len((await download.read()).splitlines()) == 5


async def test_sync_start_without_output_has_no_data(tmp_path: Path) -> None:
    """An output record that a run did not write is not an error."""
    async with (
        client_and_platform(tmp_path) as client,
        client.runs.run_sync(
            ACTOR, body=given(output=None), output_record_key="NOT-THERE"
        ) as download,
    ):
        assert await download.read() == b""


async def test_failed_sync_start_is_an_error(tmp_path: Path) -> None:
    """The error of a synchronous run that fails names its run."""
    async with client_and_platform(tmp_path) as client:
        with pytest.raises(RunFailed, match="run ID"):
            async with client.runs.run_sync(ACTOR, body=given(outcome="FAILED")):
                pass


async def test_sync_start_beyond_the_longest_wait_is_unconfirmed(tmp_path: Path) -> None:
    """A 408 is not the end of the run: the run continues, and must be searched for."""
    async with client_and_platform(tmp_path, sync_wait_secs=0.1) as client:
        with pytest.raises(StartUnconfirmed) as caught:
            async with client.runs.run_sync(ACTOR, body=given(duration_secs=60), mark=MARK):
                pass
        assert caught.value.status == 408
        assert (await client.runs.list()).items[0].status == "RUNNING"


async def test_task_is_run_with_its_own_input(tmp_path: Path) -> None:
    """A task without a body runs with its own input, by GET too."""
    actors = tmp_path / "actors"
    (actors / "tasks").mkdir(parents=True)
    task = {"name": "mine", "actor": "orchestrator/simulated", "input": {"items": 4}}
    (actors / "tasks" / "mine.json").write_bytes(orjson.dumps(task))
    async with client_and_platform(tmp_path / "data", actors_dirs=(actors,)) as client:
        me = await client.account.get()
        target = Target(kind=TargetKind.TASK, id=f"{me.username}/mine")
        found = await client.actors.get_target(target)
        for by_get in (False, True):
            async with client.runs.run_sync_items(target, by_get=by_get) as download:
                assert len((await download.read()).splitlines()) == 4
        run = await client.runs.start(target, body=b'{"items": 2}', wait_secs=10)
        assert run.actor_task_id == found.id
        assert len((await items_of(client, run.default_dataset_id)).splitlines()) == 2


async def test_items_have_the_requested_format(tmp_path: Path) -> None:
    """Format, fields, offset and limit have their effect."""
    async with client_and_platform(tmp_path) as client:
        run = await client.runs.start(ACTOR, body=given(items=10), wait_secs=10)
        query = ItemsQuery(format="csv", fields=("index",), bom=False)
        assert (await items_of(client, run.default_dataset_id, query)).split()[:2] == [
            b"index",
            b"0",
        ]
        async with client.storages.stream_items(
            DatasetId(run.default_dataset_id), offset=7, limit=2
        ) as download:
            assert (download.total, download.count, download.offset) == (10, 2, 7)
            assert len((await download.read()).splitlines()) == 2


async def test_account_actor_build_and_datasets_are_read(tmp_path: Path) -> None:
    """The account, the Actor, its build and datasets can be read."""
    async with client_and_platform(tmp_path) as client:
        limits = (await client.account.get_limits()).limits
        assert limits is not None
        assert limits.max_concurrent_actor_jobs == 256
        actor = await client.actors.get_actor("orchestrator/simulated")
        assert actor.name == "simulated"
        run = await client.runs.start(ACTOR, body=given(), wait_secs=10)
        assert (await client.actors.get_build(run.build_id or "")).id == run.build_id
        dataset = await client.storages.get_dataset(DatasetId(run.default_dataset_id))
        assert dataset.id == run.default_dataset_id
        assert (await client.storages.list_datasets(unnamed=True)).total >= 1
        assert await client.account.get_monthly_usage() is not None


async def test_input_is_validated(tmp_path: Path) -> None:
    """An input can be checked without a run."""
    async with client_and_platform(tmp_path) as client:
        await client.actors.validate_input(ACTOR, given())
        assert (await client.runs.list()).total == 0


async def test_refusals_have_their_classes(tmp_path: Path) -> None:
    """A full account, an unknown Actor, a wrong option and a wrong token have different errors."""
    options = EmulatorOptions(data_dir=tmp_path, max_memory_mbytes=1024)
    async with watched_emulator(options) as platform:
        async with client_of(platform) as client:
            with pytest.raises(NoRoom):
                await client.runs.start(ACTOR, options=RunOptions(memory_mbytes=2048))
            with pytest.raises(NotFound):
                await client.runs.start(Target(kind=TargetKind.ACTOR, id="no/such"), body=b"{}")
            with pytest.raises(InputRejected):
                await client.runs.start(ACTOR, body=b'{"outcome": "NO-SUCH"}')
            with pytest.raises(NotFound):
                await client.runs.get(RunId("nosuchrun"))
        wrong = ClientOptions(base_url=platform.url, token=SecretStr("wrong"))
        async with ApifyClient(wrong) as stranger:
            with pytest.raises(NotAuthorized) as caught:
                await stranger.account.get()
    assert caught.value.status == 401
    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.ERROR_AFTER,
        FaultKind.RESET_AFTER,
        FaultKind.TRUNCATED,
        FaultKind.RESET_BEFORE,
        FaultKind.HTML,
    ],
)
async def test_start_with_a_faulty_answer_is_sent_once(tmp_path: Path, kind: FaultKind) -> None:
    """For any fault in the answer to a start, there is at most one run."""
    rule = FaultRule(do=kind, method="POST", path="/runs")
    async with client_and_platform(tmp_path, faults=(rule,)) as client:
        with pytest.raises(StartUnconfirmed):
            await client.runs.start(ACTOR, body=given(), mark=MARK)
        assert (await client.runs.list()).total <= 1


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.RATE_LIMITED,
        FaultKind.ERROR_BEFORE,
        FaultKind.RESET_BEFORE,
        FaultKind.RESET_AFTER,
        FaultKind.HTML,
        FaultKind.TRUNCATED,
    ],
)
async def test_poll_continues_after_faults(tmp_path: Path, kind: FaultKind) -> None:
    """A poll that fails twice is repeated, and the run is followed to its end."""
    rule = FaultRule(do=kind, method="GET", path="/actor-runs/", times=2)
    async with client_and_platform(tmp_path, faults=(rule,)) as client:
        started = await client.runs.start(ACTOR, body=given())
        run = await client.runs.get(RunId(started.id), wait_secs=10)
        assert run.facts().is_terminal
        assert client.stats.retries == 2


@pytest.mark.parametrize("kind", [FaultKind.TRUNCATED, FaultKind.BAD_GZIP])
async def test_broken_download_is_an_error(tmp_path: Path, kind: FaultKind) -> None:
    """Items that break off never count as all items."""
    rule = FaultRule(do=kind, method="GET", path="/items")
    async with client_and_platform(tmp_path, faults=(rule,)) as client:
        run = await client.runs.start(ACTOR, body=given(items=2000), wait_secs=10)
        with pytest.raises(TransientError):
            await items_of(client, run.default_dataset_id)


async def test_many_requests_stay_under_the_rate_limit(tmp_path: Path) -> None:
    """A burst of requests for one run is slowed down, so that few are refused."""
    async with client_and_platform(tmp_path) as client:
        run = await client.runs.start(ACTOR, body=given(), wait_secs=10)
        began = time.monotonic()
        for _ in range(90):
            await client.runs.get(RunId(run.id))
        assert client.stats.rate_limited == 0
        assert time.monotonic() - began > 1.0
