"""Apify's own client against the emulator: its models refuse an answer without a required field."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from apify_emulator import EmulatorOptions
from tests.emulator.caller import official_client
from tests.support.openapi import watched_emulator

if TYPE_CHECKING:
    from apify_client import ApifyClientAsync

ACTOR = "orchestrator/simulated"


@asynccontextmanager
async def _client(data_dir: Path, **options: Any) -> AsyncIterator[ApifyClientAsync]:
    async with watched_emulator(EmulatorOptions(data_dir=data_dir, **options)) as emulator:
        yield official_client(emulator, max_retries=0)


async def test_client_starts_and_waits(tmp_path: Path) -> None:
    """Starting, waiting and reading the items works as with Apify."""
    async with _client(tmp_path) as client:
        run = await client.actor(ACTOR).start(
            run_input={"items": 3, "filler": "x" * 3000},
            memory_mbytes=256,
            run_timeout=timedelta(seconds=30),
            max_total_charge_usd=Decimal("0.5"),
        )
        ended = await client.run(run.id).wait_for_finish()
        assert ended is not None
        assert (ended.status, ended.options.memory_mbytes) == ("SUCCEEDED", 256)
        page = await client.dataset(run.default_dataset_id).list_items()
        assert (page.total, page.count, page.desc) == (3, 3, False)
        assert page.items == [{"index": 0}, {"index": 1}, {"index": 2}]


async def test_client_calls_an_actor_with_its_log(tmp_path: Path) -> None:
    """`call` starts a run, follows its log and waits for its end."""
    async with _client(tmp_path) as client:
        run = await client.actor(ACTOR).call(run_input={"log_lines": ["hi"]}, logger=None)
        assert run is not None
        assert "hi" in (await client.log(run.id).get() or "")


async def test_client_aborts_and_resurrects(tmp_path: Path) -> None:
    """A run can be aborted and resurrected."""
    async with _client(tmp_path) as client:
        run = await client.actor(ACTOR).start(run_input={"duration_secs": 60})
        assert (await client.run(run.id).abort()).status in ("ABORTING", "ABORTED")
        await client.run(run.id).wait_for_finish()
        back = await client.run(run.id).resurrect(memory_mbytes=512)
        assert (back.stats.resurrect_count, back.options.memory_mbytes) == (1, 512)
        listed = await client.runs().list(desc=True)
        assert [one.id for one in listed.items] == [run.id]


async def test_client_handles_datasets(tmp_path: Path) -> None:
    """Datasets can be created, filled, iterated and exported."""
    async with _client(tmp_path) as client:
        made = await client.datasets().get_or_create(name="numbers")
        dataset = client.dataset(made.id)
        await dataset.push_items([{"n": number, "pad": "y" * 200} for number in range(50)])
        assert [item["n"] async for item in dataset.iterate_items()] == list(range(50))
        csv = await dataset.get_items_as_bytes(item_format="csv", fields=["n"], limit=2, bom=False)
        assert csv == b"n\n0\n1\n"
        assert [one.name for one in (await client.datasets().list()).items] == ["numbers"]
        read = await dataset.get()
        assert read is not None
        assert read.item_count == 50


async def test_client_handles_records(tmp_path: Path) -> None:
    """Records can be written, read, listed and deleted."""
    async with _client(tmp_path) as client:
        made = await client.key_value_stores().get_or_create(name="records")
        store = client.key_value_store(made.id)
        await store.set_record("object", {"a": [1, 2]})
        await store.set_record("text", "ä" * 2000)
        await store.set_record("bytes", b"\x00\x01")
        values = [await store.get_record(key) for key in ("object", "text", "bytes", "none")]
        assert [value["value"] if value else None for value in values] == [
            {"a": [1, 2]},
            "ä" * 2000,
            b"\x00\x01",
            None,
        ]
        assert [key.key async for key in store.iterate_keys()] == ["bytes", "object", "text"]
        await store.delete_record("text")
        assert not await store.record_exists("text")


async def test_client_handles_queues(tmp_path: Path) -> None:
    """Requests can be added, locked, handled and listed."""
    async with _client(tmp_path) as client:
        made = await client.request_queues().get_or_create(name="queue")
        queue = client.request_queue(made.id, client_key="me")
        requests: list[Any] = [
            {"url": f"http://x/{number}", "uniqueKey": str(number)} for number in range(30)
        ]
        added = await queue.batch_add_requests(requests)
        assert len(added.processed_requests) == 30
        head = await queue.list_and_lock_head(lock_duration=timedelta(seconds=60), limit=2)
        assert len(head.items) == 2
        request = await queue.get_request(head.items[0].id)
        assert request is not None
        assert request.id is not None
        await queue.prolong_request_lock(request.id, lock_duration=timedelta(seconds=30))
        await queue.delete_request_lock(request.id)
        listed = await queue.list_requests(limit=100)
        assert len(listed.items) == 30
        assert len((await queue.list_head(limit=5)).items) == 5


async def test_client_handles_tasks(tmp_path: Path) -> None:
    """Tasks can be created, changed and run."""
    async with _client(tmp_path) as client:
        actor = await client.actor(ACTOR).get()
        assert actor is not None
        made = await client.tasks().create(
            actor_id=actor.id, name="my-task", task_input={"items": 2}, memory_mbytes=512
        )
        task = client.task(made.id)
        run = await task.call(task_input={"output": "done"})
        assert run is not None
        assert (run.options.memory_mbytes, run.actor_task_id) == (512, made.id)
        record = await client.key_value_store(run.default_key_value_store_id).get_record("OUTPUT")
        assert record is not None
        assert record["value"] == "done"
        assert await task.get_input() == {"items": 2}
        assert [one.name for one in (await client.tasks().list()).items] == ["my-task"]


async def test_client_reads_the_account(tmp_path: Path) -> None:
    """The account, its limits and its usage can be read."""
    async with _client(tmp_path, max_runs=7) as client:
        user = client.user()
        assert (await user.get()) is not None
        limits = await user.limits()
        assert limits is not None
        assert limits.limits.max_concurrent_actor_jobs == 7
        assert (await user.monthly_usage()) is not None


async def test_client_understands_refusals(tmp_path: Path) -> None:
    """The client shows the type and the status of a refusal."""
    from apify_client.errors import ApifyApiError

    async with _client(tmp_path, max_runs=0) as client:
        with pytest.raises(ApifyApiError) as caught:
            await client.actor(ACTOR).start()
        assert (caught.value.status_code, caught.value.type) == (
            402,
            "concurrent-runs-limit-exceeded",
        )
        assert await client.run("none").get() is None
