"""
The reference of the spec as Markdown, made from its models: `docs/spec.md`.
"""

from __future__ import annotations

from orchestrator.spec.model import (
    BatchTable,
    CollectTable,
    JobFields,
    JobTable,
    PoolTable,
    RangeTable,
    Table,
    WebhookTable,
)

INTRODUCTION = """\
# The spec

A TOML file. Names are those of Apify's API in snake_case, with their unit. What is not given is left to the platform,
or has the default in parentheses. Files are found relative to the spec. `orchestrator validate SPEC` tells every mistake
with its place; `orchestrator schema` prints a JSON Schema for editors. This page is made from the program's own models
(`make spec-reference`).

```toml
[batch]
name = "nightly"
max_runs = 16

[params]
country = "us"

[pools]
shop = { max_runs = 4, starts_per_minute = 30 }

[defaults]
memory_mbytes = 1024
retries = 2

[[jobs]]
name = "search-{{ country }}-{{ query | slug }}-{{ page }}"
actor = "apify/web-scraper"
input = { country = "{{ country }}", query = "{{ query }}", page = "{{ page }}" }
pools = ["shop"]
tags = ["search"]

[jobs.matrix]
query = ["shoes", "hats & caps"]
page = { range = [1, 3] }

[jobs.collect]
fields = ["title", "price"]
clean = true
output = true
records = ["SCREENSHOT*"]
log = true

[[jobs]]
name = "prices"
task = "me/prices"
mode = "sync"
```
"""

TEMPLATES = """\
## Templates

A string with `{{ … }}` is a template: in `name`, `actor`, `task`, `input`, `input_file`, `build`, `tags`, `pools`, webhook
addresses, and in place of any number. A string that is exactly one expression keeps the type of its value; any other is
rendered as text. The names are those of `[params]` and of the job's matrix, `date` (today, `2026-11-25`) and `env`.
Unknown names are mistakes. There are expressions and filters, and no statements, calls or methods.

| filter | gives |
| --- | --- |
| `slug` | text that fits a job key |
| `json` | the value as JSON text |
| `quote` | the value percent-encoded for a URL |
| `replace(old, new)` | text with a part replaced |
| `upper` `lower` `title` `capitalize` `trim` `join` `length` `first` `last` `sort` `unique` `min` `max` `abs` `round` `int` `float` `string` `default` | what they give in Jinja2 |

`{{ env.NAME }}` is a secret, allowed in the values of an `input` table only. The ledger and `input.json` hold the expression;
the value is read from the environment when the job starts, and reaches the platform and nothing else.

## Keys

The rendered name of a job is its key and the name of its folder: 1 to 200 of `A-Za-z0-9._=-`, not starting with a dot, and
unique without regard to case. Keys do not depend on the order of jobs or of values.

## Not yet

`rules`, `expect`, `needs`, `reuse`, `zip`, `rows`, `include`, `exclude`, `sample`, `collect.live`, `max_cost_usd`,
`stop_after_failures` and `deadline_secs` belong to the format and are refused by this version, rather than ignored.
"""


def spec_reference() -> str:
    """
    The text of `docs/spec.md`.
    """
    own = [name for name in JobTable.model_fields if name not in JobFields.model_fields]
    parts = [
        INTRODUCTION,
        _section("`[batch]`", BatchTable),
        "## `[params]`\n\nFree names and values, for templates. `--param NAME=VALUE` overrides one, "
        "in the type that it has here.\n",
        _section("`[pools.NAME]`", PoolTable),
        _section("`[[jobs]]`", JobTable, own),
        _section("`[defaults]` and `[[jobs]]`", JobFields),
        "A job's own field wins over the default; `collect` is merged field by field.\n",
        _section("`[jobs.matrix]`", RangeTable),
        "A parameter is a list of values or such a table; the jobs are all combinations, the first "
        "parameter changing slowest.\n",
        _section("`webhooks`", WebhookTable),
        _section("`[jobs.collect]`", CollectTable),
        TEMPLATES,
    ]
    return "\n".join(parts)


def _section(title: str, table: type[Table], names: list[str] | None = None) -> str:
    rows = [f"## {title}", "", "| field | meaning |", "| --- | --- |"]
    for name, field in table.model_fields.items():
        if names is not None and name not in names:
            continue
        meaning = " ".join((field.description or "as in the API").split())
        required = " **Required.**" if field.is_required() else ""
        rows.append(f"| `{name}` | {meaning.replace('|', chr(92) + '|')}{required} |")
    return "\n".join(rows) + "\n"
