"""
The mistakes of a spec of which some file cannot be read.

What the rest seems to lack may be in that file. So only what is there is judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from orchestrator.spec_mistake import Mistake
from orchestrator.specfile.templates.template import TemplateMistake, compile_template
from orchestrator.specfile.templates.trees import templates_in, value_at
from orchestrator.specfile.text.includes import Documents
from orchestrator.specfile.text.positions import Path as FieldPath

RENDERED = ("name", "input")


def mistakes_of_rest(
    documents: Documents, given: Mapping[str, Any], flaws: Mapping[FieldPath, str]
) -> Iterator[Mistake]:
    """
    The mistakes in the files that could be read.

    Args:
        given: the data as it was read.
        flaws: the mistakes of its fields, by place.
    """
    for place, message in (*flaws.items(), *_wrong_templates(given, flaws)):
        if message and _is_there(given, place):
            yield documents.mistake(place, message)


def _wrong_templates(
    given: Mapping[str, Any], flaws: Mapping[FieldPath, str]
) -> Iterator[tuple[FieldPath, str]]:
    jobs = given.get("jobs")
    tables: list[tuple[FieldPath, Any]] = [(("defaults",), given.get("defaults"))]
    tables += [
        (("jobs", n), table) for n, table in enumerate(jobs if isinstance(jobs, list) else [])
    ]
    for place, table in tables:
        for name in RENDERED if isinstance(table, dict) else ():
            for path, text in templates_in(table.get(name)):
                try:
                    compile_template(text)
                except TemplateMistake as mistake:
                    if (*place, name, *path) not in flaws:
                        yield (*place, name, *path), str(mistake)


def _is_there(given: Mapping[str, Any], place: FieldPath) -> bool:
    with suppress(LookupError, TypeError):
        value_at(given, place)
        return True
    return False
