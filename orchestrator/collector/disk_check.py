"""Whether what a job should have on disk is there, and is what was collected."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.collector.input_copy import NO_INPUT
from orchestrator.collector.items_file import ItemsFile, items_name
from orchestrator.collector.other_datasets import FOLDER
from orchestrator.model.attempts import OtherDataset
from orchestrator.model.jobs import CollectPlan, Job
from orchestrator.system_errors import refuse_exhaustion


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """
    What is on disk of a job.

    Attributes:
        items: the dataset's file, when it is whole.
        problems: what is missing or is not what was collected, in words.
    """

    items: ItemsFile | None
    problems: tuple[str, ...]


def look_at(
    folder: Path,
    job: Job,
    expected: ItemsFile | None,
    *,
    records: int | None = None,
    missing: Collection[str] = (),
    datasets: Iterable[OtherDataset] = (),
) -> Found:
    """
    Looks at the files of a job, in the caller's thread; reads its dataset's file whole.

    Args:
        folder: of the job.
        expected: the dataset's file as it was collected; None when it never was.
        records, missing: how many records there were and what the run did not have, as in
            `Collected`.
        datasets: the others, as they were collected.
    """
    options, problems = job.collect, []
    items = None
    if options.items:
        problem = _problem_of_items(folder / items_name(options.query), expected)
        if problem is None:
            items = expected
        else:
            problems.append(problem)
    for other in datasets:
        if other.file is not None and other.sha256 is not None:
            path = folder / FOLDER / other.file
            problem = problem_of_file(path, other.size_bytes, other.sha256)
            problems += [f"{FOLDER}/{problem}"] if problem is not None else []
    problems += _absent(folder, job, options, records or 0, missing)
    return Found(items=items, problems=tuple(problems))


def _problem_of_items(path: Path, expected: ItemsFile | None) -> str | None:
    if expected is None:
        return f"{path.name} was never collected"
    return problem_of_file(path, expected.size_bytes, expected.sha256)


def problem_of_file(path: Path, size_bytes: int, sha256: str) -> str | None:
    """How a file differs from what was collected, in words; None if it does not."""
    try:
        size = path.stat().st_size
        # The size first: it shows most damage without reading the file.
        if size != size_bytes:
            return f"{path.name} has {size} bytes, and {size_bytes} were collected"
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return f"{path.name} is missing"
    except OSError as error:
        refuse_exhaustion(error)
        return f"{path.name} cannot be read: {error.strerror}"
    if digest != sha256:
        return f"{path.name} is not what was collected: its sha256 is {digest}"
    return None


def _absent(
    folder: Path, job: Job, options: CollectPlan, records: int, missing: Collection[str]
) -> Iterator[str]:
    if options.run and not (folder / "run.json").is_file():
        yield "run.json is missing"
    had_input = not job.input.is_empty and NO_INPUT not in missing
    if options.input and had_input and not any(folder.glob("input.*")):
        yield "the input is missing"
    had_output = f"record {job.output_record_key}" not in missing
    if options.output and had_output and not any(folder.glob("output.*")):
        yield "the output record is missing"
    if records:
        # A kill may leave part files, which begin with a dot.
        kept = sum(not path.name.startswith(".") for path in (folder / "records").glob("*"))
        if kept < records:
            yield f"records/ has {kept} of {records} records"
    if options.log and not (folder / "log.txt").is_file():
        yield "log.txt is missing"
