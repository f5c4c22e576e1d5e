"""
The sources of the data of a matrix: a file, standard input, or the items of another batch.

It reads all bytes, up to a limit. `columns` parses them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import orjson

from orchestrator.model.batches import is_done
from orchestrator.model.jobs import KEY
from orchestrator.model.whole_pairs import with_whole_pairs
from orchestrator.pasted_command import pasted_command
from orchestrator.specfile.sweep.matrix import SourceTable
from orchestrator.specfile.tables.file_signatures import (
    LARGEST_BYTES,
    bounded,
    encoding_by_bytes,
    format_by_bytes,
    unpacked,
)
from orchestrator.specfile.tables.source_mistake import SourceMistake
from orchestrator.specfile.text.stdin import STANDARD_INPUT, read_piped
from orchestrator.system_errors import refuse_exhaustion

LATEST = "latest"

FORMATS = {
    ".csv": "csv",
    ".ods": "excel",
    ".tsv": "csv",
    ".xls": "excel",
    ".xlsb": "excel",
    ".xlsm": "excel",
    ".xlsx": "excel",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".txt": "text",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """
    The bytes of one file.

    Attributes:
        shown: its name in messages.
        encoding: of a text.
    """

    shown: str
    format: str
    content: bytes = field(repr=False)
    encoding: str = "utf-8"


Absent = Callable[[str], Collection[Path]]
"""Returns the batches of a name that have ended, and whose results another machine has."""


def nothing_absent(_name: str) -> Collection[Path]:
    """Where no ledger is asked: all results count as present."""
    return ()


Tell = Callable[[str], None]
"""Receives warnings about rows, as sentences: they may not be those that are meant."""


def nothing_told(_sentence: str) -> None:
    """Drops a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """
    The surroundings of a matrix.

    Attributes:
        folder: the folder that file names are relative to.
        output: the folder of all batches.
        is_piped: whether standard input is the spec itself.
        is_local: whether the batch runs on the local platform.
        own: the folder of the batch, if it exists already.
        absent: see `Absent`.
        tell: see `Tell`.
    """

    folder: Path
    output: Path
    is_piped: bool
    is_local: bool = False
    own: Path | None = None
    absent: Absent = nothing_absent
    tell: Tell = nothing_told


def sources_of(table: SourceTable, around: Surroundings) -> Iterator[Source]:
    """
    The files that a table names: one, or one for each job of another batch.

    Raises:
        SourceMistake: one cannot be read.
    """
    if table.results is not None:
        yield from _results(table.results, around)
    elif table.file == STANDARD_INPUT:
        shown = "standard input"
        if around.is_piped:
            raise SourceMistake(shown, "is the spec itself; it cannot be data as well")
        if table.format is None:
            raise SourceMistake(shown, f"set its format: {_formats()}")
        yield _source(table, shown, shown, bounded(shown, read_piped(LARGEST_BYTES)))
    else:
        path = around.folder / str(table.file)
        yield _source(table, str(path), path.name, _read(path))


def _source(table: SourceTable, shown: str, name: str, content: bytes) -> Source:
    name, content = unpacked(shown, name, content)
    # The first bytes win: a workbook that is called CSV cannot be read as CSV.
    kind = format_by_bytes(name, content) or table.format
    return Source(
        shown=shown,
        format=kind or _format(shown, name),
        content=content,
        encoding=encoding_by_bytes(content, table.encoding),
    )


def _format(shown: str, name: str) -> str:
    suffix = PurePath(name).suffix
    found = FORMATS.get(suffix.lower())
    if found is None:
        raise SourceMistake(shown, f"the ending {suffix!r} is of no known format; set {_formats()}")
    return found


def _formats() -> str:
    return 'format = "csv", "excel", "json", "jsonl", "parquet" or "text"'


def _read(path: Path) -> bytes:
    try:
        # A pipe or a device may have no end, and a folder has no bytes.
        if not stat.S_ISREG(path.stat().st_mode):
            raise SourceMistake(str(path), "is not a data file")
        with path.open("rb") as file:
            return bounded(str(path), file.read(LARGEST_BYTES + 1))
    except OSError as error:
        refuse_exhaustion(error)
        raise SourceMistake(str(path), (error.strerror or str(error)).lower()) from error
    except ValueError as error:
        raise SourceMistake(repr(str(path)), "is not a file name") from error


def refuse_absent(folders: Iterable[Path]) -> None:
    """
    Refuses batches whose results another machine has: without them, rows would be wrong.

    Raises:
        SourceMistake: there is one.
    """
    absent = [str(folder) for folder in folders]
    if absent:
        more = f", and for {len(absent) - 1} more batches" if absent[1:] else ""
        raise SourceMistake(
            absent[0],
            "its results are not on this machine: run "
            f"`{pasted_command('collect', absent[0])}` first{more}",
        )


def facts_if_done(folder: Path) -> Mapping[str, Any] | None:
    """
    The summary of a batch that has ended or was stopped by its own rules; None for another one.

    One that was interrupted, or whose process runs for the first time, has not all of its items.
    """
    summary = folder / "summary.json"
    if not summary.is_file():
        return None
    try:
        facts = orjson.loads(_read(summary))
    except ValueError as error:
        raise SourceMistake(
            str(summary),
            f"is damaged: write it again by `{pasted_command('report', folder)}`, or remove it if "
            "it belongs to no batch",
        ) from error
    # Another program may have a file of that name.
    if not isinstance(facts, dict) or not {"state", "exit_code"} <= facts.keys():
        return None
    # A summary of an earlier version has no `stop_kind`.
    return facts if is_done(facts["state"], facts["exit_code"], facts.get("stop_kind")) else None


def succeeded_job(line: bytes, listing: Path) -> Mapping[str, Any] | None:
    """
    What a line of `jobs.jsonl` says of a job that succeeded; None for another job.

    Raises:
        SourceMistake: it is no such line, or its key would lead out of the folder of the batch.
    """
    with suppress(ValueError, LookupError, TypeError):
        job = {"params": {}, **orjson.loads(line)}
        if job["status"] != "SUCCEEDED":
            return None
        if KEY.fullmatch(job["key"]) and isinstance(job["params"], dict):
            found: Mapping[str, Any] = job
            return found
    advice = f"write it again by `{pasted_command('report', listing.parent)}`"
    raise SourceMistake(str(listing), f"is damaged: {advice}")


def _results(name: str, around: Surroundings) -> Iterator[Source]:
    """The items of the jobs of a batch that succeeded, in the order of its spec."""
    output = around.output
    # Before the link is read: it may lead to a batch of which this machine learns now.
    absent = around.absent(name.partition("/")[0])
    folder = output / name if (output / name / "jobs.jsonl").is_file() else output / name / LATEST
    refuse_absent(one for one in absent if os.path.realpath(one) == os.path.realpath(folder))
    if folder.name == LATEST and folder.exists() and facts_if_done(folder) is None:
        newest = output / name / Path(os.path.realpath(folder)).name
        raise SourceMistake(
            str(newest),
            f"has not ended: wait for it, run `{pasted_command('resume', newest)}` if it was "
            f'interrupted, or name another batch: results = "{name}/ID"',
        )
    listing = folder / "jobs.jsonl"
    if not listing.is_file():
        raise SourceMistake(str(output / name), "has no results: no batch of that name has ended")
    lacking = 0
    for line in _read(listing).splitlines():
        job = succeeded_job(line, listing)
        if job is None:
            lacking += 1
        else:
            files = sorted((folder / "jobs" / job["key"]).glob("items.json*"))
            if not files:
                raise SourceMistake(
                    str(folder / "jobs" / job["key"]),
                    "has no items as JSON; the other batch must collect them as jsonl or json",
                )
            yield Source(
                shown=str(files[0]),
                format=FORMATS[files[0].suffix],
                content=with_whole_pairs(_read(files[0])),
            )
    if lacking:
        jobs = "1 job that has" if lacking == 1 else f"{lacking:,} jobs that have"
        around.tell(f"{folder}: without the items of {jobs} not succeeded")
