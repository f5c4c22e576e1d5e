"""Checks of a job that need no cell of its matrix."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from orchestrator.extras import Extra, not_installed
from orchestrator.specfile.diagnostics import show, unknown
from orchestrator.specfile.jobs.defaults import Merged
from orchestrator.specfile.model import CollectTable, ExpectTable, Spec, WebhookTable
from orchestrator.specfile.templates.template import TemplateMistake, compile_template, is_template
from orchestrator.specfile.templates.trees import names_in, templates_in
from orchestrator.specfile.text.positions import Path as FieldPath

Found = Iterator[tuple[FieldPath, str]]
OF_FORMAT = {
    "delimiter": "csv",
    "skip_header_row": "csv",
    "xml_root": "xml",
    "xml_row": "xml",
    "feed_title": "rss",
    "feed_description": "rss",
}
"""Parameters of the items endpoint that only one format has."""
OWN_FILES = ("items", "datasets", "records", "log", "live", "run", "input")
"""Fields of `collect`, besides `output`, that are not parameters of the items endpoint."""
MADE_NEW = ("unwind", "flatten", "view", "simplified")
"""Parameters of the items endpoint that change the fields of items."""
RENDERED_OF_WEBHOOK = ("request_url", "idempotency_key")
"""The texts of a webhook that are our templates; the platform renders the others."""


def check_fields(merged: Merged, pools: Collection[str]) -> Found:
    """Checks fields that depend on one another."""
    fields = merged.fields
    if "actor" in fields and "task" in fields:
        yield merged.place("task"), "give actor or task, not both"
    if "actor" not in fields and "task" not in fields:
        yield merged.path, "needs actor or task: what to run"
    if "input_content_type" in merged.own and "input_file" not in fields:
        yield merged.place("input_content_type"), "needs input_file"
    elif "input_content_type" in merged.own and "input" in fields:
        yield merged.place("input_content_type"), "goes with input_file alone: a table is JSON"
    for index, pool in enumerate(fields.get("pools") or ()):
        # A template is checked when it is rendered, with the values of a cell.
        if not is_template(pool) and pool not in pools:
            yield merged.place("pools", index), unknown(pool, pools, "pool")


def check_rules(merged: Merged) -> Found:
    """Checks that the input of the next run can be changed."""
    has_table = "input" in merged.fields or "input_file" not in merged.fields
    for index, rule in enumerate(merged.fields.get("rules") or ()):
        place = merged.place("rules", index, "input")
        if rule.input is not None and rule.do != "restart":
            yield place, 'goes with do = "restart" only'
        elif rule.input is not None and not has_table:
            yield place, "needs an input as a table: set input = {} beside input_file"


def check_parameters(merged: Merged) -> Found:
    """Checks parameters of items that the platform would ignore silently."""
    collect: CollectTable | None = merged.fields.get("collect")
    if collect is None:
        return
    for name in sorted(collect.model_fields_set & OF_FORMAT.keys()):
        if collect.format != OF_FORMAT[name]:
            yield merged.place("collect", name), f'goes with format = "{OF_FORMAT[name]}" only'
    if collect.delimiter is not None and len(collect.delimiter) != 1:
        yield merged.place("collect", "delimiter"), "must be one character"
    if collect.skip_failed_pages and not collect.simplified:
        yield merged.place("collect", "skip_failed_pages"), "goes with simplified = true only"
    kept = len(collect.fields or ())
    if collect.output_fields is not None and len(collect.output_fields) != kept:
        yield (
            merged.place("collect", "output_fields"),
            f"must have as many names as fields, which has {kept}",
        )


def check_live(merged: Merged) -> Found:
    """Checks that items can be downloaded during a run."""
    collect: CollectTable | None = merged.fields.get("collect")
    if collect is None or not collect.live:
        return
    # With a filter, the number of lines does not say which items are there.
    asked = collect.model_fields_set - {"output", "format", *OWN_FILES}
    if collect.items is False or collect.format not in (None, "jsonl") or asked:
        yield merged.place("collect", "live"), 'needs items = "jsonl" without filters'
    elif merged.fields.get("mode") == "sync":
        yield merged.place("collect", "live"), "works in async mode only"


def check_mergeable(merged: Merged) -> Found:
    """Checks that `[results]` can merge the items of a job."""
    collect: CollectTable | None = merged.fields.get("collect")
    if collect is None:
        return
    if collect.items is False:
        yield merged.place("collect", "items"), "must be true: [results] has the items of all jobs"
    elif collect.format not in (None, "jsonl"):
        yield merged.place("collect", "format"), 'must be "jsonl": [results] merges no other format'


def check_expectations(merged: Merged) -> Found:
    """Checks that `expect` can be evaluated."""
    expect: ExpectTable | None = merged.fields.get("expect")
    if expect is None:
        return
    collect: CollectTable = merged.fields.get("collect") or CollectTable()
    counts = ("min_items", "max_items", "max_drop")
    reads = ("fields", "share", "schema", "unique")
    for name in expect.model_fields_set:
        shown = "schema" if name == "json_schema" else name
        if shown in counts + reads and collect.items is False:
            yield merged.place("expect", shown), "needs the items, which collect.items leaves out"
        elif shown in reads and collect.format not in (None, "jsonl"):
            yield merged.place("expect", shown), 'needs items in the format "jsonl"'
    if expect.max_items is not None and (expect.min_items or 0) > expect.max_items:
        wrong = f"must not be more than max_items, which is {expect.max_items}"
        yield merged.place("expect", "min_items"), wrong
    yield from _fields_left_out(merged, expect, collect)
    if expect.json_schema is not None:
        yield from _wrong_with_schema(merged, expect.json_schema)


def _fields_left_out(merged: Merged, expect: ExpectTable, collect: CollectTable) -> Found:
    """Yields the expected fields that no downloaded item can have: every run would be rejected."""
    kept, omitted = kept_fields(collect), collect.omit or ()
    expected = {
        **dict.fromkeys(expect.fields or (), "fields"),
        **dict.fromkeys(expect.share or (), "share"),
        **dict.fromkeys(expect.unique or (), "unique"),
    }
    for name, shown in expected.items():
        if name in omitted:
            yield merged.place("expect", shown), f"needs {name!r}, which collect.omit leaves out"
        elif kept is not None and name not in kept:
            yield merged.place("expect", shown), f"needs {name!r}, which collect.fields leaves out"


def kept_fields(collect: CollectTable) -> set[str] | None:
    """The fields that downloaded items may have; None for any."""
    if not collect.fields or any(getattr(collect, name) for name in MADE_NEW):
        return None
    # A kept field may be inside another one.
    names = collect.output_fields or collect.fields
    return {name.split(".")[0] for name in names} | set(names)


def _wrong_with_schema(merged: Merged, schema: Mapping[str, Any]) -> Found:
    # Imported only for specs with a schema, because the library is large.
    try:
        from orchestrator.specfile.jobs.item_schema import schema_mistake
    except ImportError:
        yield merged.place("expect", "schema"), not_installed(Extra.SCHEMA)
        return
    mistake = schema_mistake(schema)
    if mistake is not None:
        yield merged.place("expect", "schema"), f"is not a JSON Schema: {mistake}"


def check_results(spec: Spec) -> Found:
    """Checks fields of `[results]` that depend on one another."""
    results = spec.results
    if results is None:
        return
    if results.format == "parquet" and find_spec("pyarrow") is None:
        yield ("results", "format"), not_installed(Extra.PARQUET)
    if results.new_only and not results.unique:
        yield ("results", "new_only"), "needs unique: the fields that identify an item"
    if "unique_missing" in results.model_fields_set and not results.unique:
        yield ("results", "unique_missing"), "needs unique: the fields that identify an item"
    if results.csv_safe and results.format != "csv":
        yield ("results", "csv_safe"), 'goes with format = "csv" only'


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """
    The names that the templates of a job can use.

    Attributes:
        known: of parameters; None while some of them are not known.
        env: the environment.
        unkept: those that are no longer known when a secret is rendered.
        unnamed: columns of data whose names templates cannot use.
    """

    known: Collection[str] | None
    env: Mapping[str, str]
    unkept: Collection[str] = ()
    unnamed: Collection[str] = ()

    def unknown(self, name: str) -> str:
        """The sentence for a name that is none of them."""
        for column in self.unnamed:
            if re.sub(r"\W+", "_", column).strip("_").lower() == name.lower():
                return (
                    f"unknown name {name!r}; of the column {show(column)}, set columns = "
                    f"{{ {name} = {show(column)} }}"
                )
        return unknown(name, self.known or (), "name")


def check_templates(merged: Merged, names: Names) -> Found:
    """Every template of a job: compiled, its names known, secrets in inputs only."""
    for path in names_in(merged.fields.get("input")):
        if is_template(str(path[-1])):
            yield (
                merged.place("input", *path),
                "the name of a field cannot be a template",
            )
    for name, value in merged.fields.items():
        for path, text in templates_in(rendered_part(name, value)):
            is_input = name == "input" and path != ()
            late = {"env", "needs"} if "needs" in merged.fields else {"env"}
            for message in _wrong_with(text, names, late, is_input=is_input):
                yield merged.place(name, *path), message


def rendered_part(name: str, value: Any) -> Any:
    """The part of a field that may hold templates, as a tree."""
    if name == "webhooks":
        return [_rendered_of_webhook(hook) for hook in value]
    if name == "rules":
        return [{} if rule.input is None else {"input": rule.input} for rule in value]
    return None if name in ("collect", "expect", "reuse") else value


def _rendered_of_webhook(hook: WebhookTable) -> dict[str, str]:
    texts = {name: getattr(hook, name) for name in RENDERED_OF_WEBHOOK}
    return {name: text for name, text in texts.items() if text is not None}


def _wrong_with(text: str, names: Names, late: Collection[str], *, is_input: bool) -> Iterator[str]:
    try:
        template = compile_template(text)
    except TemplateMistake as mistake:
        yield str(mistake)
        return
    known = template.names - {"needs"} if names.known is None else set(names.known)
    for wrong in sorted(template.names - known - set(late)):
        if wrong == "needs":
            yield 'is used, but the job has no needs: set needs = ["KEY"]'
        else:
            yield names.unknown(wrong)
    if "needs" in template.names & set(late) and not is_input:
        yield "needs works only in the values of an input table: it is known when the job starts"
    if "env" in template.names and not is_input:
        yield "env works only in the values of an input table: it is a secret"
    if "env" in template.names and template.names & set(names.unkept):
        yield "one text cannot use both env and a parameter with chunks"
    # Found now, and not hours later when the job would start.
    for missing in sorted(template.env_names - names.env.keys()):
        yield f"the environment variable {missing} is not set"
