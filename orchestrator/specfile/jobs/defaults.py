"""The fields of a job over those of `[defaults]`, each with its place in the text."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.specfile.model import CollectTable, ExpectTable, JobFields, Spec
from orchestrator.specfile.text.positions import Path as FieldPath

RIVALS = {"actor": "task", "task": "actor", "input": "input_file", "input_file": "input"}
"""Pairs of fields: a job that sets one of them takes neither from the defaults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """
    The merged fields of a job.

    Attributes:
        path: of its table.
        own: the fields that the job sets itself.
        fields: its own and those of the defaults.
        places: the place of each field in the text.
    """

    path: FieldPath
    own: frozenset[str]
    fields: dict[str, Any]
    places: dict[str, FieldPath]

    def place(self, *path: str | int) -> FieldPath:
        """The place of a field, or of a part of it, in the text."""
        first, *rest = path
        return (*self.places.get(str(first), (*self.path, first)), *rest)

    def without(self, wrong: Collection[FieldPath]) -> Merged:
        """The same without the fields that have a mistake at one of some places."""
        kept = {
            name: value
            for name, value in self.fields.items()
            if not any(path[: len(self.places[name])] == self.places[name] for path in wrong)
        }
        return replace(self, fields=kept)


def merge(spec: Spec, index: int) -> Merged:
    """Merges a job with its defaults: by field, and one level deeper in `collect` and `expect`."""
    fields: dict[str, Any] = {}
    places: dict[str, FieldPath] = {}
    table, path = spec.jobs[index], ("jobs", index)
    sources: tuple[tuple[FieldPath, JobFields], ...] = (
        (("defaults",), spec.defaults),
        (path, table),
    )
    for source, model in sources:
        given = {
            name: value
            for name in model.model_fields_set - {"matrix"}
            if (value := getattr(model, name)) is not None
        }
        for name, value in given.items():
            # A job with an Actor or an input of its own does not inherit the task or the file.
            rival = RIVALS.get(name)
            if rival is not None and rival not in given:
                fields.pop(rival, None)
            fields[name] = _over(fields.get(name), value)
            places[name] = (*source, name)
    return Merged(path=path, own=frozenset(table.model_fields_set), fields=fields, places=places)


def _over(below: Any, above: Any) -> Any:
    if not isinstance(below, (CollectTable, ExpectTable)):
        return above
    # Only what was given: a default of the model must not hide a value of `[defaults]`.
    given = {name: getattr(above, name) for name in above.model_fields_set}
    return below.model_copy(update=given)


def take_out_misfits(merged: Merged) -> Iterator[tuple[FieldPath, str]]:
    """
    Removes fields that the job's endpoint does not have.

    In a job such a field is a mistake. In `[defaults]` it applies to other jobs, so it is dropped
    silently.
    """
    fields = merged.fields
    is_sync, is_task = fields.get("mode") == "sync", "task" in fields
    has_no_input = not {"input", "input_file"} & fields.keys()
    misfits = {
        "force_permission_level": (is_sync or is_task, "works for Actors in async mode only"),
        "wait_for_finish_secs": (is_sync, "works in async mode only"),
        "output_record_key": (not is_sync, "works in sync mode only"),
        "restart_on_error": (
            is_sync and is_task and has_no_input,
            "cannot be set for a task in sync mode without an input",
        ),
    }
    for name, (does_not_fit, why) in misfits.items():
        if does_not_fit and fields.pop(name, None) is not None and name in merged.own:
            yield merged.place(name), why
