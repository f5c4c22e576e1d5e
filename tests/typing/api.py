"""
The public API as a type checker sees it: checked by mypy and pyright, never run.

A change that breaks this file breaks the code of people who use the packages as a library.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, assert_never, assert_type

from pydantic import SecretStr

import orchestrator
from apify_emulator import EmulatorOptions, serve_emulator
from orchestrator import ApifyClient as PublicClient
from orchestrator import (
    AttemptFailed,
    Batch,
    BatchEnded,
    BatchResult,
    BatchStarted,
    Event,
    Items,
    Job,
    JobResult,
    JobSettled,
    RunStarted,
)
from orchestrator.apify import ApifyClient, ClientOptions, ClientStats, models
from orchestrator.errors import OrchestratorError, StartUnconfirmed
from orchestrator.model.ids import DatasetId, Mark, RunId
from orchestrator.model.jobs import RunOptions, Target, TargetKind
from orchestrator.model.states import JobStatus

assert_type(orchestrator.__version__, str)

ACTOR = Target(kind=TargetKind.ACTOR, id="orchestrator/simulated")


async def start_and_wait(client: ApifyClient) -> models.Run:
    """Starts a run and waits for its end."""
    options = RunOptions(memory_mbytes=256, max_total_charge_usd=Decimal("0.5"))
    try:
        run = await client.runs.start(ACTOR, body=b"{}", options=options, mark=Mark("nightly.7"))
    except StartUnconfirmed as error:
        assert_type(error.method, str)
        raise
    while not assert_type(run.facts().is_terminal, bool):
        run = await client.runs.get(RunId(run.id), wait_secs=60)
    return assert_type(run, models.Run)


async def download(client: ApifyClient, dataset_id: DatasetId) -> int:
    """Counts the bytes of a dataset."""
    size = 0
    async with client.storages.stream_items(dataset_id) as items:
        assert_type(items.total, int | None)
        async for chunk in items.chunks():
            size += len(assert_type(chunk, bytes))
    return size


async def use_emulator(folder: Path) -> ClientStats:
    """Serves the emulator and uses it by the client."""
    options = EmulatorOptions(data_dir=folder, token=SecretStr("t"), max_runs=2)
    async with serve_emulator(options) as emulator:
        client_options = ClientOptions(
            base_url=assert_type(emulator.url, str), token=emulator.token
        )
        async with ApifyClient(client_options) as client:
            run = await start_and_wait(client)
            await download(client, DatasetId(run.default_dataset_id))
            return client.stats


def exit_code(error: OrchestratorError) -> int:
    """Says how a command would end."""
    return error.exit_code


def show(event: Event) -> str:
    """Tells the events apart by their types, all of them."""
    match event:
        case JobSettled(job=job):
            return assert_type(job, JobResult).key
        case RunStarted() | AttemptFailed():
            return assert_type(event.job, str)
        case BatchEnded(result=result):
            return assert_type(result, BatchResult).name
        case BatchStarted():
            return event.folder.name
        case _ as never:
            assert_never(never)


async def run_batches() -> None:
    """Runs a batch of a spec, and one of jobs that are made in Python."""
    async with Batch.from_spec("shops.toml", params={"country": "de"}, resume=True) as batch:
        async for job in batch:
            assert_type(job, JobResult)
            assert_type(job.status, JobStatus)
            assert_type(job.items, Items)
            for item in job.items:
                assert_type(item, dict[str, Any])
    made = Batch(
        name="shops",
        jobs=(Job(name=shop, actor="acme/prices", input={"shop": shop}) for shop in "ab"),
        max_runs=4,
        max_cost_usd=Decimal("2.5"),
        local=True,
    )
    assert_type(await made.run(lambda event: print(show(event))), BatchResult)  # noqa: T201


def read_results() -> None:
    """Reads a batch on disk."""
    result = assert_type(Batch.open("shops"), BatchResult)
    assert_type(result.jobs, list[JobResult])
    assert_type(result.cost_usd, Decimal)
    assert_type(result.exit_code, int | None)
    result.sql("SELECT 1").fetchall()
    assert_type(result.to_polars().height, int)


def make_client() -> ApifyClient:
    """Makes a client from plain strings."""
    return assert_type(PublicClient(token="t", base_url="https://api.apify.com"), ApifyClient)
