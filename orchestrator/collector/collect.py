"""Collects what is wanted of one run: dataset, output, records, log, and the run itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import anyio

from orchestrator.apify import ApifyClient, Download
from orchestrator.collector.attempt_files import keeping_attempts
from orchestrator.collector.dataset import Datasets, count_behind
from orchestrator.collector.input_copy import NO_INPUT, input_copy
from orchestrator.collector.items_file import ItemsFile, items_name
from orchestrator.collector.other_datasets import (
    aliases_of,
    collect_aliased,
    shared_names,
    wanted_aliases,
)
from orchestrator.collector.record_file import fetch_blob, save_blob
from orchestrator.collector.record_keys import (
    INPUT_KEY,
    MOST_STORE_BYTES,
    STEP_KEYS,
    UNADDRESSABLE,
    is_store_itself,
    matching_keys,
)
from orchestrator.collector.sync_items import answer_part, save_answer
from orchestrator.errors import InputRejected, NotFound, PlatformError, TransientError
from orchestrator.event_log import LOG
from orchestrator.model.attempts import Collected, OtherDataset
from orchestrator.model.ids import JobKey, StoreId
from orchestrator.model.jobs import Job, Mode
from orchestrator.model.proofs import MORE, NOT_WANTED
from orchestrator.model.runs import Run
from orchestrator.store.atomic_files import Files
from orchestrator.store.file_names import extension, file_name, other_file_name
from orchestrator.store.transfer_sizes import USUAL_SIZES, TransferSizes

LIVE_EVERY_SECS = 3.0
SYNC = Mode.SYNC  # a constant: to read a member of the enumeration takes a call


class Collector:
    """
    Collects runs into the folders of their jobs.

    Args:
        folder: `jobs/` of the batch.
        patience_secs: how long a download may make no progress before it is given up.
        settled_after_secs: how long ago the runs have ended that are collected, at least.
    """

    def __init__(
        self,
        client: ApifyClient,
        files: Files,
        *,
        folder: Path,
        patience_secs: float,
        settled_after_secs: float = 0.0,
        sizes: TransferSizes = USUAL_SIZES,
    ) -> None:
        self._client = client
        self._files = files
        self._folder = folder
        self._patience_secs = patience_secs
        self._sizes = sizes
        self._datasets = Datasets(
            client,
            files,
            patience_secs=patience_secs,
            settled_after_secs=settled_after_secs,
            sizes=sizes,
        )
        self._answers: dict[JobKey, ItemsFile | None] = {}

    def folder_of(self, key: JobKey) -> Path:
        """Where the files of a job are."""
        return self._folder / key

    async def save_answer(self, job: Job, download: Download) -> None:
        """
        Saves the answer of a synchronous start.

        It is the output record, or the items where the output is not wanted. What was saved is
        not downloaded again when the same process collects the job, unless more items have appeared
        meanwhile.

        Raises:
            TransientError: it broke off; nothing has appeared.
            DiskFull, OutputLost.
        """
        folder = self.folder_of(job.key)
        if job.collect.items and not job.collect.output:
            self._answers[job.key] = await save_answer(
                self._files, folder, job.collect.query, download, sizes=self._sizes
            )
        # An empty answer may mean that there is no such record: it is asked for later.
        elif await save_blob(
            self._files,
            folder,
            output_name(download),
            download,
            keeps_empty=False,
            sizes=self._sizes,
        ):
            self._answers[job.key] = None

    async def live(self, job: Job, run: Run) -> None:
        """
        Downloads items while a run is live, until cancelled.

        The whole lines so far are then on disk, and `collect` continues there.
        """
        folder = self.folder_of(job.key)
        download = self._datasets.download(folder, run.dataset_id, job.collect.query)
        try:
            while True:
                await anyio.sleep(LIVE_EVERY_SECS)
                try:
                    await download.advance()
                except PlatformError as error:
                    # What cannot be read now is downloaded at the end, or reported then.
                    LOG.debug("live_items_not_read", error=str(error))
        finally:
            download.close()

    async def collect(
        self,
        job: Job,
        run: Run,
        run_json: bytes | None,
        *,
        number: int = 1,
        kept: ItemsFile | None = None,
        is_new: bool = False,
    ) -> Collected:
        """
        Downloads what `job.collect` asks for, and writes `run.json` and `input.json`.

        Args:
            run_json: the run as the platform last sent it; None to ask for it.
            number: of the attempt.
            kept: the dataset's file, when it is on disk already.
            is_new: whether this process began the attempt: no other one has begun its download.

        Raises:
            NotFound: the dataset does not exist any more.
            TransientError: the platform stays away, or does not send what it counts.
            DiskFull, OutputLost: files that are there are whole.

        Cancellation: nothing half written gets a final name.
        """
        resumes = not is_new or number > 1 or job.collect.live
        if number == 1:
            return await self._collect(job, run, run_json, kept=kept, resumes=resumes)
        async with keeping_attempts(self.folder_of(job.key), number):
            return await self._collect(job, run, run_json, kept=kept, resumes=resumes)

    async def _collect(
        self, job: Job, run: Run, run_json: bytes | None, *, kept: ItemsFile | None, resumes: bool
    ) -> Collected:
        plan = job.collect
        folder = f"{self._folder}/{job.key}"
        # A key with None means that the answer was the output record, which is on disk already.
        has_output = job.key in self._answers
        answer = self._answers.pop(job.key, None)
        missing: tuple[str, ...] = ()
        if plan.output and not has_output:
            missing = await self._collect_output(job, run, folder)
        records = None
        if plan.records:
            records, unfetched = await self._collect_records(job, run, folder)
            missing += unfetched
        if plan.log:
            await self._fetch_log(folder, run)
        if run_json is None and (plan.run or plan.datasets):
            # The run exists, so a single refusal is not believed.
            run_json = (await self._client.runs.get(run.id, insist=True)).to_json()
        contents = _run_copy(job, run_json)
        try:
            contents |= await input_copy(job)
        # The results are there, and were made of what the file held then.
        except InputRejected as error:
            LOG.warning("input_not_kept", error=str(error))
            missing += (NO_INPUT,)
        others = await self._collect_others(job, folder, run_json) if plan.datasets else ()
        if not plan.items:
            if contents:
                await self._files.save(folder, contents)
            return Collected(records=records, missing=missing, unproven=NOT_WANTED, datasets=others)
        items = await self._collect_items(
            job, run, folder, kept=kept, answer=answer, resumes=resumes
        )
        if items.data is not None:
            # Few items are saved with the other files: one round of flushes for all.
            contents = {items_name(plan.query): items.data, **contents}
        if contents:
            await self._files.save(folder, contents)
        unproven = items.unproven or (_unproven_of(others) if others else None)
        return Collected(
            items=items.items,
            size_bytes=items.size_bytes,
            sha256=items.sha256,
            records=records,
            missing=missing,
            proof=None if unproven else items.proof,
            unproven=unproven,
            datasets=others,
            elsewhere=None if items.stored else await self._elsewhere(job, run_json),
        )

    async def _collect_others(
        self, job: Job, folder: str, run_json: bytes | None
    ) -> tuple[OtherDataset, ...]:
        wanted = job.collect.datasets
        aliases = aliases_of(run_json)
        collected = await collect_aliased(
            self._datasets, folder, wanted_aliases(wanted, aliases), job.collect.query
        )
        # Those that runs share grow until the last of them has ended.
        shared = [OtherDataset(name=name) for name in shared_names(wanted, aliases)]
        return (*collected, *shared)

    async def _elsewhere(self, job: Job, run_json: bytes | None) -> str | None:
        """Which other datasets of a run hold items, where its default one holds none."""
        filled = []
        for alias, dataset_id in sorted(aliases_of(run_json).items()):
            try:
                held = await count_behind(self._client, dataset_id, job.collect.query, 0)
            # Only a hint: what cannot be read now must not fail the job.
            except (NotFound, TransientError):
                continue
            if held:
                filled.append(f"{alias!r} {held}")
        if not filled:
            return None
        hint = f"its default dataset holds no items, but other datasets do: {', '.join(filled)}"
        if not job.collect.datasets:
            hint += '; collect.datasets = ["*"] takes them'
        LOG.warning("items_in_other_datasets", datasets=filled)
        return hint

    async def describe(self, job: Job, run_json: bytes | None, *, number: int) -> None:
        """
        Writes `run.json` and `input.json` alone, as far as they are wanted.

        Raises:
            InputRejected: as `input_copy`.
            DiskFull, OutputLost.
        """
        contents = {**_run_copy(job, run_json), **await input_copy(job)}
        async with keeping_attempts(self.folder_of(job.key), number):
            if contents:
                await self._files.save(f"{self._folder}/{job.key}", contents)

    async def _collect_items(
        self,
        job: Job,
        run: Run,
        folder: str,
        *,
        kept: ItemsFile | None,
        answer: ItemsFile | None,
        resumes: bool,
    ) -> ItemsFile:
        query = job.collect.query
        if not run.dataset_id:
            raise NotFound(f"the platform names no default dataset of run {run.id}")
        # The cheapest proof first: the file on disk, then the answer of the start, then a download.
        if kept is not None:
            proven = await self._datasets.check(run.dataset_id, query, kept)
            if proven is not None:
                return proven
        if answer is not None:
            proven = await self._datasets.check(run.dataset_id, query, answer)
            if proven is not None and await self._datasets.publish_answer(folder, query):
                return proven
        # An answer that is not proven is not used, and its part file would stay.
        if job.mode is SYNC:
            await self._files.remove_part(folder, part=answer_part(query))
        return await self._datasets.fetch(folder, run.dataset_id, query, resumes=resumes)

    async def _collect_output(self, job: Job, run: Run, folder: str) -> tuple[str, ...]:
        key = job.output_record_key
        try:
            if not await self._save_own_input(job, folder, "output.json", key):
                await self._fetch(folder, output_name, run.store_id, key)
        except NotFound:
            return (f"record {key}",)
        return ()

    async def _save_own_input(self, job: Job, folder: str, name: str, key: str) -> bool:
        """
        Saves the input of a job as the spec has it; returns whether that record is it.

        The platform's copy has the values of the environment.
        """
        if key != INPUT_KEY or not job.input.late_paths or job.input.body is None:
            return False
        await self._files.save(folder, {name: job.input.body})
        return True

    async def _collect_records(
        self, job: Job, run: Run, folder: str
    ) -> tuple[int, tuple[str, ...]]:
        """
        Fetches the records whose keys match a pattern.

        Returns:
            how many there are, and those that cannot be downloaded.
        """
        taken: set[str] = set()
        missing = []
        for key in await matching_keys(self._client, run.store_id, job.collect.records):
            # Fetched at once: only the body shows whether it is the record or the store itself.
            if key in STEP_KEYS and not await self._fetch_step(folder, run.store_id, key):
                LOG.warning("record_not_fetched", key=key, error=UNADDRESSABLE)
                missing.append(f"record {key}")
                continue
            name = file_name(key)
            # Some file systems ignore case: the second record would replace the first.
            if name.lower() in taken:
                name = other_file_name(key)
            taken.add(name.lower())
            records = f"{folder}/records"
            if key in STEP_KEYS or await self._save_own_input(job, records, name, key):
                continue
            await self._fetch(records, partial(_constant, name), run.store_id, key, is_listed=True)
        return len(taken), tuple(missing)

    async def _fetch_step(self, folder: str, store_id: StoreId, key: str) -> bool:
        """Downloads a record whose key looks like a path step; returns whether it is the record."""
        records, name = f"{folder}/records", file_name(key)
        try:
            await self._fetch(records, partial(_constant, name), store_id, key)
        except NotFound:
            return False
        return not _remove_store_itself(Path(records, name), store_id)

    async def _fetch(
        self,
        folder: str,
        name: Callable[[Download], str],
        store_id: StoreId,
        key: str,
        *,
        is_listed: bool = False,
    ) -> None:
        await fetch_blob(
            self._files,
            folder,
            name,
            lambda: self._client.storages.stream_record(store_id, key, is_listed=is_listed),
            patience_secs=self._patience_secs,
            sizes=self._sizes,
        )

    async def _fetch_log(self, folder: str, run: Run) -> None:
        await fetch_blob(
            self._files,
            folder,
            partial(_constant, "log.txt"),
            lambda: self._client.runs.stream_log(run.id),
            patience_secs=self._patience_secs,
            sizes=self._sizes,
        )


def output_name(download: Download) -> str:
    """The name of the output record's file, by its content type."""
    return f"output.{extension(download.content_type)}"


def _run_copy(job: Job, run_json: bytes | None) -> dict[str, bytes]:
    """The content of `run.json`, by that name; empty where it is not wanted, or not known."""
    return {"run.json": run_json} if job.collect.run and run_json is not None else {}


def _remove_store_itself(path: Path, store_id: StoreId) -> bool:
    """Deletes the file of a record that is the store's own description; whether it was that."""
    # Such a description is small, so a large record need not be parsed.
    if path.stat().st_size > MOST_STORE_BYTES or not is_store_itself(path.read_bytes(), store_id):
        return False
    path.unlink()
    return True


def _unproven_of(others: Sequence[OtherDataset]) -> str | None:
    unproven = (other for other in others if not other.is_shared and other.proof is None)
    return next((MORE for _ in unproven), None)


def _constant(name: str, _download: Download) -> str:
    return name
