"""
The values that earlier batches already have: what is new is what remains.

A batch counts when it has ended or was stopped by its own rules, such as its budget. One that was
interrupted does not count, because it is resumed. Only jobs that succeeded count: what failed is
tried again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from orchestrator.model.whole_pairs import read_json
from orchestrator.specfile.sweep.matrix import ExceptTable
from orchestrator.specfile.tables.data_source import (
    Surroundings,
    facts_if_done,
    refuse_absent,
    succeeded_job,
)
from orchestrator.specfile.tables.source_mistake import SourceMistake
from orchestrator.system_errors import refuse_exhaustion

LOCAL = "local"


class EarlierValues:
    """
    The values of a field in all earlier batches of a name.

    Args:
        around: has the folder of all batches, whether batches on the local platform count instead
            of the others, and the folder of the batch that asks, which does not count.
        is_source: whether the rows are the items of the job with a key. In batches of the own name
            such jobs do not count: they say that a row was found, and not that it was done.

    Raises:
        SourceMistake: the results of some batch cannot be read, or another machine has them.
    """

    def __init__(
        self,
        table: ExceptTable,
        around: Surroundings,
        is_source: Callable[[str], bool] | None = None,
    ) -> None:
        own = around.own
        is_of_own_name = own is not None and own.parent.name == table.results
        is_left_out = is_source if is_source is not None and is_of_own_name else _never
        refuse_absent(folder for folder in around.absent(table.results) if folder != own)
        # Digests: the values of years would fill the memory.
        self._digests: set[bytes] = set()
        home = around.output / table.results
        jobs = 0
        for folder in _whole_batches(home, is_local=around.is_local):
            for job in _succeeded(folder, is_left_out) if folder != own else ():
                jobs += 1
                self._digests.update(map(_digest, _values(folder, job, table.key)))
        if jobs and not self._digests:
            around.tell(
                f"{home}: no job that succeeded has {table.key!r} as a parameter or in its items, "
                "so except leaves nothing out"
            )

    def __contains__(self, value: object) -> bool:
        return _digest(value) in self._digests


def _digest(value: object) -> bytes:
    # As text: a CSV file has "7" where an item has 7.
    text = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else orjson.dumps(value)
    return hashlib.blake2b(text, digest_size=10).digest()


def _whole_batches(home: Path, *, is_local: bool) -> Iterator[Path]:
    """The folders of the batches of a name that count; none where the name has no batch yet."""
    for folder in sorted(home.iterdir()) if home.is_dir() else ():
        if folder.name.startswith(".") or folder.is_symlink():
            continue
        facts = facts_if_done(folder)
        if facts is not None and (facts.get("platform") == LOCAL) == is_local:
            yield folder


def _never(_key: str) -> bool:
    return False


def _succeeded(folder: Path, is_left_out: Callable[[str], bool]) -> Iterator[Mapping[str, Any]]:
    """What the listing of a batch says of its jobs that succeeded."""
    listing = folder / "jobs.jsonl"
    for line in _lines(listing):
        job = succeeded_job(line, listing)
        if job is not None and not is_left_out(job["key"]):
            yield job


def _values(folder: Path, job: Mapping[str, Any], key: str) -> Iterator[Any]:
    """The value of a field in the parameters of a job, or those in its items."""
    if key in job["params"]:
        yield job["params"][key]
        return
    home = folder / "jobs" / job["key"]
    found = sorted(home.glob("items.json*"))
    if not found:
        said = f"has no {key!r}: neither a parameter of that name nor items as JSON"
        raise SourceMistake(str(home), said)
    for item in _items(found[0]):
        if isinstance(item, dict) and key in item:
            yield item[key]


def _items(path: Path) -> Iterator[Any]:
    if path.suffix == ".json":
        yield from read_json(_read(path))
    else:
        yield from map(read_json, _lines(path))


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except OSError as error:
        raise _unreadable(path, error) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> SourceMistake:
    refuse_exhaustion(error)
    return SourceMistake(str(path), (error.strerror or str(error)).lower())
