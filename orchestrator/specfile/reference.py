"""The reference of the spec as Markdown: `reference.md` with tables of the models' fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from orchestrator.specfile.allowed_values import allowed_values
from orchestrator.specfile.batch_end import NotifyTable, ResultsTable, RetentionTable
from orchestrator.specfile.editor_schema import spec_schema
from orchestrator.specfile.field_types import Table
from orchestrator.specfile.model import (
    BatchTable,
    CollectTable,
    ExpectTable,
    JobFields,
    JobTable,
    PoolTable,
    RuleTable,
    Spec,
    WebhookTable,
)
from orchestrator.specfile.sweep.matrix import (
    ColumnTable,
    DatesTable,
    ExceptTable,
    ItemRowsTable,
    MatrixTable,
    RangeTable,
    RowsTable,
    SampleTable,
)

TABLES: dict[str, tuple[str, type[Table]]] = {
    "spec": ("The spec", Spec),
    "batch": ("`[batch]`", BatchTable),
    "pools": ("`[pools.NAME]`", PoolTable),
    "results": ("`[results]`", ResultsTable),
    "retention": ("`[retention]`", RetentionTable),
    "notify": ("`[notify]`", NotifyTable),
    "jobs": ("`[[jobs]]`", JobTable),
    "defaults": ("`[defaults]` and `[[jobs]]`", JobFields),
    "matrix": ("`[jobs.matrix]`", MatrixTable),
    "range": ("A range", RangeTable),
    "dates": ("Dates", DatesTable),
    "column": ("A parameter from a file", ColumnTable),
    "rows": ("Rows from a file", RowsTable),
    "items": ("Rows from items of other jobs", ItemRowsTable),
    "except": ("`except`", ExceptTable),
    "sample": ("A sample", SampleTable),
    "webhooks": ("`webhooks`", WebhookTable),
    "rules": ("`[[jobs.rules]]`", RuleTable),
    "expect": ("`[jobs.expect]`", ExpectTable),
    "collect": ("`[jobs.collect]`", CollectTable),
}
LINKS = {
    table.__name__: f"[table](#{re.sub(r'[^a-z -]', '', title.lower()).replace(' ', '-')})"
    for title, table in TABLES.values()
}


def spec_reference() -> str:
    """The text of `docs/spec.md`."""
    schema = spec_schema()
    text = files("orchestrator.specfile").joinpath("reference.md").read_text("utf-8")
    return re.sub(r"<!-- table (\w+) -->", lambda found: _section(found[1], schema), text)


def _section(name: str, schema: Mapping[str, Any]) -> str:
    title, table = TABLES[name]
    # Only the fields that `[[jobs]]` has beyond `[defaults]`.
    inherited = JobFields.model_fields if table is JobTable else {}
    rows = [f"## {title}", "", "| field | values | meaning |", "| --- | --- | --- |"]
    fields = (schema if table is Spec else schema["$defs"][table.__name__])["properties"]
    for field_name, field in table.model_fields.items():
        if field_name in inherited:
            continue
        shown = field.alias or field_name
        values = allowed_values(fields[shown], LINKS)
        meaning = fields[shown].get("description", "As in the API.")
        required = " **Required.**" if field.is_required() else ""
        cells = (f"`{shown}`", values, f"{meaning}{required}")
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)
