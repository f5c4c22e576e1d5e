"""
Sweeps whose rows are the items of other jobs: how they are kept, and how they make jobs.

The batch keeps each sweep as JSON, because its jobs are made hours later, perhaps by another
process, when the spec and its included files may have changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from pydantic import JsonValue

from orchestrator.model.item_sweeps import ItemSweep
from orchestrator.model.jobs import Demand, Job, Target, TargetKind
from orchestrator.specfile.diagnostics import show
from orchestrator.specfile.jobs.defaults import Merged, merge, take_out_misfits
from orchestrator.specfile.jobs.input_files import InputFiles
from orchestrator.specfile.jobs.job_factory import FILE_FIELDS, CellMistake, JobMaker
from orchestrator.specfile.jobs.shown_params import shown_params, used_names
from orchestrator.specfile.load import LoadedSpec
from orchestrator.specfile.model import JobTable, Spec
from orchestrator.specfile.parameters import given_params
from orchestrator.specfile.sweep.matrix import CHUNK, SOURCE, ExceptTable, ItemRowsTable, fields_of
from orchestrator.specfile.tables.data_source import (
    Absent,
    Surroundings,
    Tell,
    nothing_absent,
    nothing_told,
)
from orchestrator.specfile.tables.earlier_values import EarlierValues
from orchestrator.specfile.templates.condition import compile_condition
from orchestrator.specfile.templates.template import TemplateMistake, compile_template, is_template
from orchestrator.specfile.text.positions import shown_path

TakeNew = Callable[[Sequence[int]], Iterable[int]]
"""Which rows with these digests were not taken before; notes that they are taken now."""

Place = Callable[[], int]
Row = dict[str, Any]
AT_ONCE = 500
"""How many rows are compared at once with those that were taken before."""


def item_sweeps(
    loaded: LoadedSpec, *, params: Mapping[str, str], today: date
) -> tuple[ItemSweep, ...]:
    """
    The sweeps of a spec whose rows are items, in the order of the spec.

    Those with mistakes may be missing: `expand` reports them.
    """
    spec = loaded.spec
    settled, _ = given_params(spec.params, params)
    values = {"date": today.isoformat(), **settled}
    sweeps = []
    for index, table in enumerate(spec.jobs):
        rows = table.matrix.rows if table.matrix is not None else None
        if isinstance(rows, ItemRowsTable):
            merged = merge(spec, index)
            for _ in take_out_misfits(merged):
                pass
            folders = {
                name: str(loaded.folder(merged.place(name)).absolute()) for name in FILE_FIELDS
            }
            with suppress(LookupError, TemplateMistake):
                sweeps.append(_sweep(spec, merged, rows, values, folders))
    return tuple(sweeps)


def _sweep(
    spec: Spec,
    merged: Merged,
    rows: ItemRowsTable,
    values: Mapping[str, JsonValue],
    folders: Mapping[str, str],
) -> ItemSweep:
    fields = dict(merged.fields)
    # It is seconds by now, and the spec has a text there.
    reuse = fields.pop("reuse", None)
    table = JobTable.model_construct(set(fields), **fields)
    kept = table.model_dump(mode="python", by_alias=True, exclude_unset=True)
    definition = {
        "fields": kept,
        "reuse": reuse,
        "rows": rows.model_dump(mode="json", by_alias=True),
        "values": values,
        "shown": list(shown_params(merged, spec.params, values)),
        "pools": list(spec.pools),
        "folders": folders,
    }
    kind = TargetKind.ACTOR if "actor" in fields else TargetKind.TASK
    target = fields[kind.value]
    if is_template(target):
        target = compile_template(target).render(values)
    known = {
        name: fields[name]
        for name in ("memory_mbytes", "timeout_secs", "max_total_charge_usd")
        if name in fields and not isinstance(fields[name], str)
    }
    return ItemSweep(
        name=fields["name"],
        needs=tuple(dict.fromkeys(rows.needs)),
        demand=Demand(
            target=Target(kind=kind, id=str(target)),
            memory_mbytes=known.get("memory_mbytes"),
            timeout_secs=known.get("timeout_secs"),
            cap_usd=known.get("max_total_charge_usd"),
            pools=tuple(sorted(pool for pool in fields.get("pools") or () if pool in spec.pools)),
        ),
        # As in a spec: there, amounts of money are numbers.
        definition=orjson.dumps(definition, default=_number).decode(),
        has_reuse=reuse is not None,
    )


class ItemJobs:
    """
    Makes the jobs of a sweep of the items of one job after the other.

    Args:
        folder: of the batch.
        is_local: whether the batch runs on the local platform.
        absent: see `Absent`.
        tell: see `Tell`.

    Raises:
        SourceMistake: the results of an earlier batch cannot be read.
    """

    def __init__(
        self,
        sweep: ItemSweep,
        folder: Path,
        *,
        is_local: bool,
        absent: Absent = nothing_absent,
        tell: Tell = nothing_told,
    ) -> None:
        kept = orjson.loads(sweep.definition)
        table = JobTable.model_validate(kept["fields"])
        fields = {name: getattr(table, name) for name in table.model_fields_set}
        if kept["reuse"] is not None:
            fields["reuse"] = kept["reuse"]
        self._rows = ItemRowsTable.model_validate(kept["rows"])
        self._name = sweep.name
        self._fields = fields_of(self._rows)
        self._values: dict[str, JsonValue] = kept["values"]
        self._where = None if self._rows.where is None else compile_condition(self._rows.where)
        merged = Merged(path=(), own=frozenset(), fields=fields, places={})
        self._used = used_names(merged)
        known = self._rows.known
        around = Surroundings(
            folder=Path(),
            output=folder.parent.parent,
            is_piped=False,
            is_local=is_local,
            own=folder,
            absent=absent,
            tell=tell,
        )
        self._earlier = None if known is None else EarlierValues(known, around, sweep.wants)
        self._maker = JobMaker(
            merged,
            params={name: self._values[name] for name in kept["shown"]},
            files=InputFiles(),
            folders={name: Path(folder) for name, folder in kept["folders"].items()},
            pools=kept["pools"],
            unkept=() if self._rows.chunk is None else self._fields,
        )

    @property
    def takes_output(self) -> bool:
        """Whether the rows are the output record of a job, and not its items."""
        return self._rows.output

    def make(
        self, source: str, items: Iterable[Any], take_new: TakeNew, place: Place = lambda: 0
    ) -> Iterator[Job | str]:
        """
        The jobs of the items of one job, in their order.

        Args:
            source: the key of the job that has made the items.
            place: the place in the batch of the next job.

        Yields:
            each job; or why an item, or a chunk of items, gives none.
        """
        number = 0
        rows = self._wanted(source, items)
        if self._rows.distinct:
            rows = self._distinct(rows, take_new)
        if self._rows.chunk is not None:
            rows = self._chunks(rows, self._rows.chunk)
        for made in rows:
            if isinstance(made, str):
                yield made
                continue
            number += 1
            cell = {**made, SOURCE: source} if SOURCE in self._used else made
            if self._rows.chunk is not None and CHUNK in self._used:
                cell = {**cell, CHUNK: number}
            try:
                yield self._maker.make(place(), cell, {**self._values, **cell})
            except CellMistake as mistake:
                where, message = mistake.found[0]
                what = f"chunk {number}" if self._rows.chunk is not None else "an item"
                yield f"{what} of {source}: {shown_path(where)}: {message}"

    def _wanted(self, source: str, items: Iterable[Any]) -> Iterator[Row | str]:
        """The rows of items, or why an item that may be wanted gives none."""
        where, known = self._where, self._rows.known
        for number, item in enumerate(items, 1):
            if not isinstance(item, dict):
                yield f"item {number} of {source}: expected a table, found {show(item)}"
                continue
            try:
                if where is not None and not where({**self._values, **item}):
                    continue
                row = {name: item[field] for name, field in self._fields.items()}
            except TemplateMistake as mistake:
                yield f"item {number} of {source}: {mistake}"
            except KeyError as missing:
                yield (
                    f"item {number} of {source} has no field {missing}; "
                    f"where = {missing} leaves out such items"
                )
            else:
                if known is None or not self._is_known(known, row):
                    yield row

    def _is_known(self, known: ExceptTable, row: Row) -> bool:
        return self._earlier is not None and row[known.key] in self._earlier

    def _distinct(self, rows: Iterator[Row | str], take_new: TakeNew) -> Iterator[Row | str]:
        """Leaves out rows of which an equal one was taken before; asks for many at once."""
        while group := list(islice(rows, AT_ONCE)):
            digests = [None if isinstance(row, str) else self._digest(row) for row in group]
            new = set(take_new([digest for digest in digests if digest is not None]))
            for row, digest in zip(group, digests, strict=True):
                if digest is None or digest in new:
                    new.discard(digest)
                    yield row

    @staticmethod
    def _chunks(rows: Iterable[Row | str], size: int) -> Iterator[Row | str]:
        """So many rows as one row of lists."""
        chunk: list[Row] = []
        for row in rows:
            if isinstance(row, str):
                yield row
                continue
            chunk.append(row)
            if len(chunk) == size:
                yield _listed(chunk)
                chunk = []
        if chunk:
            yield _listed(chunk)

    def _digest(self, row: Row) -> int:
        text = orjson.dumps([self._name, *row.values()])
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), signed=True)


def _number(money: Any) -> int | float:
    """An amount of money as a number whose text is the same."""
    return int(money) if money == int(money) else float(money)


def _listed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: [row[name] for row in rows] for name in rows[0]}
