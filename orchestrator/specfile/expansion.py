"""
Expands a spec to its jobs, one by one, in the order of the spec.

It skips a job with a mistake and continues, and reports all mistakes together at the end.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import cast

from orchestrator.model.jobs import Job
from orchestrator.specfile.jobs.checks import check_results
from orchestrator.specfile.jobs.collisions import Repeated, report_repeated_keys, where_of
from orchestrator.specfile.jobs.item_checks import SourcesCheck
from orchestrator.specfile.jobs.job_factory import CellMistake, JobMaker
from orchestrator.specfile.jobs.needed_jobs import ItemTable, NeedsCheck
from orchestrator.specfile.jobs.needed_values import NeededValuesCheck
from orchestrator.specfile.jobs.result_columns import check_columns
from orchestrator.specfile.jobs.sweeps import Sweep, SweepMaker
from orchestrator.specfile.load import OUTPUT, LoadedSpec
from orchestrator.specfile.mistakes import Mistakes
from orchestrator.specfile.model import CollectTable, Spec
from orchestrator.specfile.notify_urls import check_notify
from orchestrator.specfile.parameters import given_params
from orchestrator.specfile.sweep.cells import Cell
from orchestrator.specfile.sweep.matrix import excepts_of, may_be_empty
from orchestrator.specfile.tables.data_source import (
    Absent,
    Surroundings,
    Tell,
    nothing_absent,
    nothing_told,
)
from orchestrator.specfile.templates.trees import Values
from orchestrator.specfile.text.stdin import STANDARD_INPUT

NOTHING: Mapping[str, str] = MappingProxyType({})


def expand(
    loaded: LoadedSpec,
    *,
    params: Mapping[str, str] = NOTHING,
    env: Mapping[str, str] = os.environ,
    today: date,
    output: Path = OUTPUT,
    is_local: bool = False,
    own: Path | None = None,
    absent: Absent = nothing_absent,
    tell: Tell = nothing_told,
) -> Iterator[Job]:
    """
    Yields the jobs of a spec; keeps only the data of its parameters in memory.

    Args:
        params: the `--param` values, as on the command line.
        env: the environment; only its names matter here.
        today: the value of `{{ date }}`, unless a parameter has that name.
        output: the folder of batches whose results the spec reads.
        is_local: whether the batch runs on the local platform.
        own: the folder of the batch, if it exists already.
        absent: see `Absent`.
        tell: see `Tell`.

    Raises:
        SpecError: at the end, with all mistakes.
    """
    mistakes = Mistakes(loaded)
    settled, found = given_params(loaded.spec.params, params)
    mistakes.add_all(found)
    values = {"date": today.isoformat(), **settled}
    mistakes.add_all(check_notify(loaded.spec.notify, env))
    if not loaded.has_flaw(("results",)):
        mistakes.add_all(check_results(loaded.spec))
    around = Surroundings(
        folder=Path(),
        output=output,
        is_piped=str(loaded.path) == STANDARD_INPUT,
        is_local=is_local,
        own=own,
        absent=absent,
        tell=tell,
    )
    for name in _other_names(loaded.spec):
        if not (output / name).is_dir():
            tell(f"{output / name}: no batch has this name, so except leaves nothing out")
    make = SweepMaker(loaded, values, env, around, mistakes).make
    sweeps = [make(index) for index in range(len(loaded.spec.jobs))]
    # A table with a mistake may be the one that has the columns.
    if all(sweep.is_sound for sweep in sweeps):
        collects = [sweep.merged.fields.get("collect") or CollectTable() for sweep in sweeps]
        names = {*values, *(name for sweep in sweeps for name in sweep.matrix.names)}
        mistakes.add_all(check_columns(loaded, collects, names, output))
    # Before any job is made: a mistyped range may stand for billions.
    least = sum(sweep.matrix.places for sweep in sweeps if not sweep.matrix.is_thinned)
    _refuse_too_many(loaded, least, mistakes)
    made = yield from _jobs(loaded, sweeps, values, mistakes)
    mistakes.raise_if_any()
    if not made and not any(may_be_empty(table.matrix) for table in loaded.spec.jobs):
        mistakes.add(("jobs",), "give no job at all: exclude leaves out every combination")
        mistakes.raise_if_any()


def _other_names(spec: Spec) -> Iterator[str]:
    """The names of other batches of which `except` leaves out what they have."""
    names = {
        known.results
        for table in spec.jobs
        for known in excepts_of(table.matrix)
        if known.results != spec.batch.name
    }
    yield from sorted(names)


def _refuse_too_many(loaded: LoadedSpec, total: int, mistakes: Mistakes) -> None:
    most = loaded.spec.batch.max_jobs
    if total > most:
        shown = f"{total:,}" if total < 10**15 else "more than a thousand million million"
        mistakes.add(
            ("batch", "max_jobs"),
            f"the spec expands to {shown} jobs, more than max_jobs = {most:,} allows",
        )
        mistakes.raise_if_any()


def _jobs(
    loaded: LoadedSpec, sweeps: Sequence[Sweep], values: Values, mistakes: Mistakes
) -> Generator[Job, None, int]:
    """
    The jobs of all sweeps without mistakes; those of the others are only checked.

    It keeps only hashes of used keys, because a million keys take three times the memory. It checks
    repeated hashes at the end.

    Returns:
        how many jobs there are.
    """
    taken: set[int] = set()
    repeated: list[Repeated] = []
    seq = 0
    # Most specs have no needs, and the check keeps every key.
    needs = _needs_check(sweeps)
    values_of_needs = NeededValuesCheck(
        [sweep.merged for sweep in sweeps],
        [sweep.merged.fields.get("name") for sweep in sweeps if sweep.rows is not None],
    )
    sources = SourcesCheck([(sweep.merged, sweep.rows) for sweep in sweeps])
    most = loaded.spec.batch.max_jobs
    for number, sweep in enumerate(sweeps):
        # Without a maker there are no cells.
        is_sound, maker = sweep.is_sound, cast("JobMaker", sweep.maker)
        for place, cell in sweep.cells():
            try:
                job = maker.make(seq, cell, {**values, **cell})
            except CellMistake:
                is_sound = False
                _report(sweep, place, cell, values, mistakes)
                continue
            # Keys are names of folders, and some file systems ignore case.
            sign = hash(job.key.lower())
            if sign in taken:
                repeated.append(Repeated(job.key, number, place))
                continue
            taken.add(sign)
            seq += 1
            if seq > most:
                # Only a thinned matrix has no known count before.
                _refuse_too_many(loaded, seq, mistakes)
            if needs is not None:
                needs.add(job, sweep.merged.place("needs"))
            sources.add(job)
            values_of_needs.add(job, number)
            if sweep.is_sound:
                yield job
        if not is_sound or not (sweep.matrix.places or sweep.rows):
            name = sweep.merged.fields.get("name")
            sources.add_unknown(name, sweep.rows)
            values_of_needs.add_unknown(name)
            if needs is not None:
                needs.add_unknown(name)
    report_repeated_keys(sweeps, values, repeated, mistakes)
    mistakes.add_all(() if needs is None else needs.mistakes())
    mistakes.add_all(values_of_needs.mistakes())
    mistakes.add_all(sources.mistakes())
    return seq


def _needs_check(sweeps: Sequence[Sweep]) -> NeedsCheck | None:
    if not any("needs" in sweep.merged.fields for sweep in sweeps):
        return None
    return NeedsCheck(
        ItemTable(str(sweep.merged.fields.get("name")), sweep.rows.needs)
        for sweep in sweeps
        if sweep.rows is not None
    )


def _report(sweep: Sweep, place: int, cell: Cell, values: Values, mistakes: Mistakes) -> None:
    """Records all mistakes of a cell."""
    found = () if sweep.maker is None else sweep.maker.mistakes({**values, **cell})
    for path, message in found:
        where = "" if mistakes.is_full_at(path) else where_of(sweep.matrix, place, cell)
        mistakes.add(path, f"{message} ({where})" if where else message)
