"""Which parameters of a spec a report shows beside a job."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from pydantic import JsonValue

from orchestrator.specfile.jobs.checks import rendered_part
from orchestrator.specfile.jobs.defaults import Merged
from orchestrator.specfile.templates.template import TemplateMistake, compile_template
from orchestrator.specfile.templates.trees import Values, templates_in


def used_names(merged: Merged) -> set[str]:
    """The names that the templates of a job use, as far as they are valid."""
    used: set[str] = set()
    for field, value in merged.fields.items():
        for _, text in templates_in(rendered_part(field, value)):
            with suppress(TemplateMistake):
                used |= compile_template(text).names
    return used


def shown_params(
    merged: Merged, declared: Mapping[str, JsonValue], values: Values
) -> dict[str, JsonValue]:
    """The parameters that reports show: those of the spec, and the date if used."""
    used = used_names(merged)
    return {name: value for name, value in values.items() if name in declared or name in used}
