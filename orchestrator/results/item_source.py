"""The files of jobs with their items, read in order as chunks of whole lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.errors import OrchestratorError
from orchestrator.pasted_command import pasted_command
from orchestrator.system_errors import refuse_exhaustion

CHUNK_BYTES = 4 * 1024 * 1024
BUFFER_BYTES = 256 * 1024


class NotMerged(OrchestratorError):
    """The results cannot be merged; the items of the jobs are on disk anyway."""

    exit_code = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """
    The items of one job.

    Attributes:
        job: the job's key.
        run: the id of the run that made them.
        items: their number in the ledger.
        params: the parameters of the job; each is a column.
        number: the number of its batch; items of lower numbers are older.
        batch, occurrence: columns of a table of several batches; None for one batch.
    """

    path: Path
    job: str
    run: str | None
    items: int
    params: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0
    batch: str | None = None
    occurrence: str | None = None

    @property
    def command(self) -> str:
        """Downloads its file, `BATCH/jobs/KEY/items.jsonl`, again."""
        return pasted_command("collect", self.path.parent.parent.parent)


Sources = Callable[[], Iterable[Source]]
"""Returns all sources in order, at each call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """
    Consecutive lines of one source.

    Attributes:
        first: the number of the first line, counted from 1.
        lines: each ends in a line feed.
    """

    source: Source
    first: int
    lines: list[bytes]


def chunks(sources: Iterable[Source], most_rows: Callable[[], int]) -> Iterator[list[Piece]]:
    """
    All lines of all sources, some megabytes at once.

    Args:
        most_rows: returns the most lines of the next chunk.

    Raises:
        NotMerged: a file is missing, cannot be read, or has another number of items than the
            ledger.
    """
    pieces: list[Piece] = []
    rows = size = 0
    most = most_rows()
    for source in sources:
        for first, lines in lines_of(source):
            start = 0
            while start < len(lines):
                part = lines[start : start + most - rows]
                pieces.append(Piece(source=source, first=first + start, lines=part))
                start += len(part)
                rows += len(part)
                size += sum(map(len, part))
                if rows >= most or size >= CHUNK_BYTES:
                    yield pieces
                    pieces, rows, size, most = [], 0, 0, most_rows()
    if pieces:
        yield pieces


def lines_of(source: Source) -> Iterator[tuple[int, list[bytes]]]:
    """The lines of a source in groups, each with the number of its first line."""
    count = 0
    with reading(source), source.path.open("rb", buffering=BUFFER_BYTES) as file:
        while lines := file.readlines(CHUNK_BYTES):
            if not lines[-1].endswith(b"\n"):
                # Writers join lines as they are, so each one needs its end.
                lines[-1] += b"\n"
            yield count + 1, lines
            count += len(lines)
    check_count(source, count)


@contextmanager
def reading(source: Source) -> Iterator[None]:
    """
    Says what to do if a file cannot be read.

    Raises:
        NotMerged.
    """
    try:
        yield
    except OSError as error:
        refuse_exhaustion(error)
        raise NotMerged(
            f"{source.job}: {source.path.name} cannot be read ({error.strerror}): run "
            f"`{source.command}` to download it again"
        ) from error


def check_count(source: Source, count: int) -> None:
    """
    Refuses a file that was cut or replaced: it must not become a table that lacks rows.

    Raises:
        NotMerged.
    """
    if count != source.items:
        raise NotMerged(
            f"{source.job}: {source.path.name} has {count} items, but the ledger counts "
            f"{source.items}: run `{source.command}` to download it again"
        )


def heads(sources: Iterable[Source], *, most: int, size_bytes: int) -> Iterator[Piece]:
    """The first lines of the first sources; skips files that cannot be read."""
    for _, source in zip(range(most), sources, strict=False):
        try:
            with source.path.open("rb", buffering=BUFFER_BYTES) as file:
                lines = [line for line in file.readlines(size_bytes) if line.endswith(b"\n")]
        except OSError:
            continue
        if lines:
            yield Piece(source=source, first=1, lines=lines)
