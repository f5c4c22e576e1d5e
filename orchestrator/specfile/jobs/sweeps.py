"""The `[[jobs]]` tables of a spec, compiled: what can be checked is, also beside a mistake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from orchestrator.specfile.jobs.checks import (
    Names,
    check_expectations,
    check_fields,
    check_live,
    check_mergeable,
    check_parameters,
    check_rules,
    check_templates,
)
from orchestrator.specfile.jobs.defaults import Merged, merge, take_out_misfits
from orchestrator.specfile.jobs.input_files import InputFiles
from orchestrator.specfile.jobs.item_checks import check_item_rows, item_rows_of
from orchestrator.specfile.jobs.job_factory import FILE_FIELDS, CellMistake, JobMaker
from orchestrator.specfile.jobs.shown_params import used_names
from orchestrator.specfile.load import LoadedSpec
from orchestrator.specfile.mistakes import Mistakes
from orchestrator.specfile.sweep.axes import MatrixMaker
from orchestrator.specfile.sweep.cells import Cell, Matrix
from orchestrator.specfile.sweep.cells import cells as cells_of
from orchestrator.specfile.sweep.matrix import ItemRowsTable
from orchestrator.specfile.tables.data_source import Surroundings
from orchestrator.specfile.templates.trees import Values
from orchestrator.specfile.text.positions import Path as FieldPath
from orchestrator.specfile.valid_part import is_under


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """
    One `[[jobs]]` table.

    Attributes:
        matrix: has no parameters for a single job.
        maker: makes the job of each cell; None if a mistake leaves no keys.
        is_sound: whether the table has no mistake so far. Else its jobs are only checked.
        rows: set if its rows are the items of other jobs: then it has no cells yet.
    """

    merged: Merged
    matrix: Matrix
    maker: JobMaker | None
    is_sound: bool
    rows: ItemRowsTable | None = None

    def cells(self) -> Iterator[tuple[int, Cell]]:
        """Its cells with their places; none if a mistake leaves no keys."""
        return iter(()) if self.maker is None else cells_of(self.matrix)


class SweepMaker:
    """
    Compiles the tables of one spec.

    Args:
        values: the parameters of the spec.
        env: the environment; only its names matter here.
        around: the surroundings of each matrix, apart from its folder.
    """

    def __init__(
        self,
        loaded: LoadedSpec,
        values: Values,
        env: Mapping[str, str],
        around: Surroundings,
        mistakes: Mistakes,
    ) -> None:
        self._loaded = loaded
        self._values = values
        self._env = env
        self._around = around
        self._mistakes = mistakes
        self._files = InputFiles()

    def make(self, index: int) -> Sweep:
        """One table; its mistakes are recorded."""
        loaded, merged = self._loaded, merge(self._loaded.spec, index)
        used = used_names(merged)
        place = (*merged.path, "matrix")
        around = replace(self._around, folder=loaded.folder(merged.path))
        made = MatrixMaker(place, around, self._mistakes.add_source, used)
        table = loaded.spec.jobs[index].matrix
        matrix = made.make(table)
        found = [*self._found(merged), *check_item_rows(merged, table)]
        found += self._of_matrix(place, made.found)
        # Without all names, each use of a missing one would be reported as a mistake.
        has_names = made.is_whole and place not in loaded.flaws
        if loaded.has_flaw(("params",), (*place, "rows"), (*place, "include")):
            has_names = False
        names = Names(
            known=[*self._values, *matrix.names] if has_names else None,
            env=self._env,
            unkept=matrix.unkept,
            unnamed=made.unnamed,
        )
        found += check_templates(merged, names)
        self._mistakes.add_all(found)
        # Fields are those of the table and of the defaults.
        wrong = [*loaded.flaws_in(merged.path), *loaded.flaws_in(("defaults",))]
        wrong += [path for path, _ in found]
        has_cells = not made.found and not loaded.has_flaw(place)
        maker, is_whole = self._maker(merged, matrix, used, wrong) if has_cells else (None, False)
        return Sweep(
            merged=merged,
            matrix=matrix,
            maker=maker,
            is_sound=is_whole and not loaded.flaws and not found,
            rows=item_rows_of(table),
        )

    def _found(self, merged: Merged) -> list[tuple[FieldPath, str]]:
        """The mistakes that need no cell; not those of fields that have a flaw themselves."""
        has_flaw = self._loaded.has_flaw
        found = [*check_fields(merged, self._loaded.spec.pools)]
        if not has_flaw(merged.place("mode")):
            found = [*take_out_misfits(merged), *found]
        if not has_flaw(merged.place("expect"), merged.place("collect")):
            found += [*check_expectations(merged), *check_parameters(merged), *check_live(merged)]
        if self._loaded.spec.results is not None and not has_flaw(merged.place("collect")):
            found += check_mergeable(merged)
        found += check_rules(merged)
        return found

    def _of_matrix(
        self, place: FieldPath, found: list[tuple[FieldPath, str]]
    ) -> list[tuple[FieldPath, str]]:
        """Its mistakes, without comparisons to the values of parameters if some were replaced."""
        if not self._loaded.has_flaw(place):
            return found
        compared = [(*place, name) for name in ("exclude", "include", "zip")]
        return [(path, message) for path, message in found if not is_under(path, compared)]

    def _maker(
        self, merged: Merged, matrix: Matrix, used: set[str], wrong: list[FieldPath]
    ) -> tuple[JobMaker | None, bool]:
        """
        A maker without the fields that have mistakes, and whether it has all of the others.

        A further mistake, of a part that is equal in all cells, is recorded.
        """
        is_whole, left = True, merged.without(wrong)
        while "name" in left.fields:
            try:
                return self._compiled(left, matrix, used), is_whole
            except CellMistake as mistake:
                self._mistakes.add_all(mistake.found)
                is_whole, fields = False, left.fields
                left = left.without([path for path, _ in mistake.found])
                if len(left.fields) == len(fields):
                    break
        return None, False

    def _compiled(self, merged: Merged, matrix: Matrix, used: set[str]) -> JobMaker:
        loaded = self._loaded
        return JobMaker(
            merged,
            params={
                name: value
                for name, value in self._values.items()
                if name in loaded.spec.params or name in used
            },
            files=self._files,
            folders={name: loaded.folder(merged.place(name)) for name in FILE_FIELDS},
            pools=loaded.spec.pools,
            unkept=matrix.unkept,
        )
