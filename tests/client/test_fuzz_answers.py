"""
Answers of every kind to the real client: only our own errors, no second run, limited time.

Each case has a number; `ORCHESTRATOR_FUZZ_CASE=4711` plays only that one.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import SecretStr

from orchestrator.apify import ApifyClient, ClientOptions
from orchestrator.apify.http.direct_transport import DirectTransport
from orchestrator.apify.http.session_transport import SessionTransport
from orchestrator.collector import ranges
from orchestrator.collector.item_download import ItemsDownload
from orchestrator.collector.record_file import fetch_blob
from orchestrator.collector.record_keys import matching_keys
from orchestrator.errors import OrchestratorError, TransientError
from orchestrator.group_worker import InlineWorker
from orchestrator.model.ids import DatasetId, Mark, RunId, StoreId
from orchestrator.model.jobs import ItemsQuery, Target, TargetKind
from orchestrator.store.atomic_files import Files
from orchestrator.store.group_flush import flush_group
from orchestrator.store.transfer_sizes import TransferSizes
from tests.client import answers_grammar as grammar
from tests.client.raw_server import ConnectionReset, RawServer, ReceivedRequest, http, raw_server

SOAK = "ORCHESTRATOR_SOAK" in os.environ
BLOCK = 100
BLOCKS = 100 if SOAK else 5
LANES = 4
"""So many cases run at once, each with its own server, because most of them wait."""
LONGEST_SECS = 10.0
MORE_MBYTES = 128
GOOD = "the-run-behind-it"
ACTOR = Target(kind=TargetKind.ACTOR, id="a/b")


class Fuzzed:
    """A server with one answer to all requests of a case, and a right one to the last."""

    def __init__(self) -> None:
        self.answer: grammar.Answer | None = None

    async def __call__(self, received: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        answer = self.answer
        if answer is None or GOOD in received.target:
            writer.write(http(b'{"data":{"id":"%s","status":"RUNNING"}}' % GOOD.encode()))
            return
        writer.write(answer.head)
        for piece in answer.pieces:
            writer.write(piece)
        match answer.then:
            case "close":
                await writer.drain()
                writer.write_eof()
            case "reset":
                raise ConnectionReset
            case "silence":
                await asyncio.sleep(60)
            case "endless":
                chunk = b"4000\r\n" + b'{"a":1}\n' * 2048 + b"\r\n"
                while True:
                    writer.write(chunk)
                    await writer.drain()


async def _start(client: ApifyClient, _folder: Path) -> None:
    (await client.runs.start(ACTOR, body=b"{}", mark=Mark("k.1.1.1"))).facts()


async def _start_sync(client: ApifyClient, _folder: Path) -> None:
    async with client.runs.run_sync(ACTOR, body=b"{}", mark=Mark("k.1.1.1")) as download:
        await download.read(1_000_000)


async def _get_run(client: ApifyClient, _folder: Path) -> None:
    run = await client.runs.get(RunId("r"), wait_secs=1)
    run.facts()
    run.to_json()


async def _list_runs(client: ApifyClient, _folder: Path) -> None:
    for run in (await client.runs.list()).items:
        run.facts()


async def _get_limits(client: ApifyClient, _folder: Path) -> None:
    await client.account.get_limits()


async def _get_keys(client: ApifyClient, _folder: Path) -> None:
    await matching_keys(client, StoreId("s"), ["*"])


async def _get_items(client: ApifyClient, folder: Path, query: ItemsQuery) -> None:
    download = ItemsDownload(
        client,
        Files(InlineWorker(flush_group)),
        folder=folder,
        name=f"items.{query.format}",
        dataset_id=DatasetId("d"),
        query=query,
        patience_secs=0.0,
        settle_secs=0.0,
        sizes=TransferSizes(range_items=10),
    )
    try:
        await ranges.fetch(download)
    finally:
        download.discard()


async def _get_lines(client: ApifyClient, folder: Path) -> None:
    await _get_items(client, folder, ItemsQuery())


async def _get_clean_lines(client: ApifyClient, folder: Path) -> None:
    await _get_items(client, folder, ItemsQuery(clean=True))


async def _get_record(client: ApifyClient, folder: Path) -> None:
    await fetch_blob(
        Files(InlineWorker(flush_group)),
        folder,
        lambda download: f"out.{download.content_type[:0]}bin",
        lambda: client.storages.stream_record(StoreId("s"), "OUT"),
        patience_secs=0.0,
    )


Call = Callable[[ApifyClient, Path], Awaitable[None]]
CALLS: tuple[tuple[Call, Any, bool, bool], ...] = (
    (_start, grammar.right_run, False, True),
    (_start_sync, grammar.right_lines, True, True),
    (_get_run, grammar.right_run, False, True),
    (_list_runs, grammar.right_list, False, True),
    (_get_limits, grammar.right_limits, False, True),
    (_get_keys, grammar.right_keys, False, True),
    (_get_lines, grammar.right_lines, True, True),
    (_get_clean_lines, grammar.right_lines, True, False),
    (_get_record, grammar.right_lines, True, False),
)
"""
A call, the right answer to it, whether that is raw, and whether a body without an end ends it. A
record and a filtered dataset may have any size.
"""


def _client(server: RawServer, rng: random.Random) -> ApifyClient:
    options = ClientOptions(
        base_url=server.url,
        token=SecretStr("t0ken-of-the-tester"),
        connect_timeout_secs=1.0,
        first_byte_timeout_secs=0.4,
        silence_timeout_secs=0.4,
        whole_timeout_secs=1.0,
        start_deadline_secs=0.4,
        away_secs=0.0,
        refusal_pauses_secs=(0.01, 0.01),
        sync_wait_secs=0.4,
        max_answer_bytes=1_000_000,
    )
    make = SessionTransport if rng.random() < 0.2 else DirectTransport
    return ApifyClient(options, transport=make(server.url), rng=rng)


async def _error_of(work: Awaitable[None]) -> OrchestratorError | None:
    try:
        await work
    except OrchestratorError as error:
        return error
    return None


async def _check_next(client: ApifyClient) -> None:
    """Nothing of the last answer is read as part of the next; its connection may be broken."""
    for _ in range(5):
        with suppress(TransientError):
            assert (await client.runs.get(RunId(GOOD))).id == GOOD
            return
    pytest.fail("no connection is made any more")


async def _play(number: int, server: RawServer, fuzzed: Fuzzed, folder: Path) -> None:
    rng = random.Random(number)  # noqa: S311 - the seed is the number of the case
    call, right, is_raw, ends = rng.choice(CALLS)
    answer = grammar.answer(rng, right, is_raw=is_raw)
    while answer.then == "endless" and not ends:
        answer = grammar.answer(rng, right, is_raw=is_raw)
    server.received.clear()
    fuzzed.answer = answer
    with anyio.fail_after(LONGEST_SECS):
        async with _client(server, rng) as client:
            error = await _error_of(call(client, folder))
            assert type(error) is not OrchestratorError, "a broken invariant"
            assert str(error).replace("\n", "").isprintable()
            assert "t0ken" not in str(error)
            starts = [received for received in server.received if received.method == "POST"]
            assert len(starts) <= 1 or answer.proves_no_effect, "a start was sent twice"
            fuzzed.answer = None
            await _check_next(client)


async def _play_all(numbers: Sequence[int], folder: Path) -> None:
    fuzzed = Fuzzed()
    async with raw_server(fuzzed) as server:
        for number in numbers:
            try:
                await _play(number, server, fuzzed, folder)
            except BaseException as error:
                error.add_note(f"case {number}: {fuzzed.answer}"[:3000])
                raise


def _blocks() -> list[int]:
    alone = os.environ.get("ORCHESTRATOR_FUZZ_CASE")
    return [int(alone)] if alone else [block * BLOCK for block in range(BLOCKS)]


@pytest.mark.timeout(LONGEST_SECS * BLOCK)
@pytest.mark.parametrize("first", _blocks())
async def test_any_answer_is_read_or_refused(tmp_path: Path, first: int) -> None:
    """For any answer, the client soon has a result or one of its own errors."""
    cases = [first] if len(_blocks()) == 1 else range(first, first + BLOCK)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with anyio.create_task_group() as group:
        for lane in range(LANES):
            (tmp_path / str(lane)).mkdir()
            group.start_soon(_play_all, cases[lane::LANES], tmp_path / str(lane))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert (after - before) / 1024 < MORE_MBYTES
