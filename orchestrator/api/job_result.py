"""A job of a batch on disk, and its items."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from orchestrator.errors import UsageError
from orchestrator.ledger import JobReport
from orchestrator.model.batches import Batch
from orchestrator.model.states import JobStatus
from orchestrator.report.summary import status_of
from orchestrator.results.item_source import NotMerged, Source, check_count, lines_of, reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """
    The items of a job, read from its file at each iteration.

    Attributes:
        path: the file; it exists only if the job has items.
        count: how many items there are; None if none were downloaded.
        format: of the file, such as `jsonl` or `csv`.
        job: the key of the job.
    """

    path: Path
    count: int | None
    format: str
    job: str

    def __len__(self) -> int:
        return self.count or 0

    def __bool__(self) -> bool:
        return bool(self.count)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """
        Yields each item as the Actor made it.

        Raises:
            UsageError: the format is neither `jsonl` nor `json`.
            NotMerged: the file is missing, is not JSON, or has another number of items than the
                ledger.
        """
        if not self.count:
            return
        if self.format not in ("json", "jsonl"):
            raise UsageError(
                f"{self.job}: its items are in {self.format}, which is not read here: open "
                f'{self.path}, or set format = "jsonl" in [jobs.collect]'
            )
        source = Source(path=self.path, job=self.job, run=None, items=self.count)
        if self.format == "json":
            yield from self._all_of_list(source)
            return
        for first, lines in lines_of(source):
            for number, line in enumerate(lines, first):
                yield self._parsed(line, f"line {number} of {self.path.name}")

    def _all_of_list(self, source: Source) -> list[Any]:
        with reading(source):
            text = self.path.read_bytes()
        items: list[Any] = self._parsed(text, self.path.name)
        check_count(source, len(items))
        return items

    def _parsed(self, text: bytes, place: str) -> Any:
        try:
            # Not orjson: it would turn an integer of more than 64 bits into a float.
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise NotMerged(f"{self.job}: {place} cannot be read as JSON: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """
    A job of a batch, as its ledger and its folder hold it.

    Attributes:
        key: its name, unique in the batch.
        target: its Actor or task, as the spec names it.
        params: the parameters of its cell of the matrix, and `[params]`.
        attempts: how many were begun.
        run_id, dataset_id: of the last attempt; None without a run.
        error: what happened, in words; None if the job succeeded or waits.
        cost_usd: of its last run, as last reported; None if it is not known.
        missing: what was to be downloaded and its run does not have, in words.
        folder: its files: `run.json`, `input.json`, `items.jsonl`, `records/`, `log.txt`.
    """

    key: str
    target: str
    status: JobStatus
    params: Mapping[str, JsonValue]
    tags: tuple[str, ...]
    attempts: int
    run_id: str | None
    dataset_id: str | None
    error: str | None
    cost_usd: Decimal | None
    started_at: datetime | None
    finished_at: datetime | None
    missing: tuple[str, ...]
    folder: Path
    items: Items

    @property
    def succeeded(self) -> bool:
        """Whether it succeeded, and its results are on disk."""
        return self.status is JobStatus.SUCCEEDED


def job_result(folder: Path, batch: Batch, report: JobReport) -> JobResult:
    """The job of a report, in the folder of its batch."""
    job = report.job
    place = folder / "jobs" / job.key
    query = job.collect.query
    items = Items(
        path=place / f"items.{query.format}",
        count=report.items if report.size_bytes else None,
        format=query.format,
        job=job.key,
    )
    return JobResult(
        key=job.key,
        target=job.target.id,
        status=status_of(batch, report.status),
        params=job.params,
        tags=job.tags,
        attempts=report.attempts,
        run_id=report.run_id,
        dataset_id=report.dataset_id,
        error=report.error,
        cost_usd=report.cost_usd,
        started_at=report.started_at,
        finished_at=report.finished_at,
        missing=report.missing,
        folder=place,
        items=items,
    )
