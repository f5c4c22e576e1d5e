"""The reference of the spec as Markdown: `reference.md` with tables of the models' fields."""

from __future__ import annotations

import re
from importlib.resources import files

from orchestrator.specfile.batch_end import NotifyTable, ResultsTable, RetentionTable
from orchestrator.specfile.field_descriptions import descriptions_of
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
    "sample": ("A sample", SampleTable),
    "webhooks": ("`webhooks`", WebhookTable),
    "rules": ("`[[jobs.rules]]`", RuleTable),
    "expect": ("`[jobs.expect]`", ExpectTable),
    "collect": ("`[jobs.collect]`", CollectTable),
}


def spec_reference() -> str:
    """The text of `docs/spec.md`."""
    text = files("orchestrator.specfile").joinpath("reference.md").read_text("utf-8")
    return re.sub(r"<!-- table (\w+) -->", lambda found: _section(found[1]), text)


def _section(name: str) -> str:
    title, table = TABLES[name]
    # Only the fields that `[[jobs]]` has beyond `[defaults]`.
    inherited = JobFields.model_fields if table is JobTable else {}
    rows = [f"## {title}", "", "| field | meaning |", "| --- | --- |"]
    descriptions = descriptions_of(table)
    for field_name, field in table.model_fields.items():
        if field_name in inherited:
            continue
        shown = field.alias or field_name
        meaning = descriptions.get(shown, "as in the API").replace("|", "\\|")
        required = " **Required.**" if field.is_required() else ""
        rows.append(f"| `{shown}` | {meaning}{required} |")
    return "\n".join(rows)
