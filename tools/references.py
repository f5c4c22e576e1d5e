"""
Writes the reference pages of the spec, the commands and the settings, from the program itself.

It also writes the newest schema of a ledger from its versions. `make references` calls it, and
tests compare what it writes.
"""

from __future__ import annotations

import argparse
import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from orchestrator.app.setup.settings import Settings, file_names
from orchestrator.app.setup.settings_sources import variable_of
from orchestrator.cli.command_list import GROUPS
from orchestrator.cli.parser import EXIT_CODES, command_parser
from orchestrator.ledger.schema import migrations
from orchestrator.specfile.allowed_values import allowed_values
from orchestrator.specfile.reference import spec_reference

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
NEWEST = ROOT / "orchestrator" / "ledger" / "schema" / "sqlite_newest.sql"
NEWEST_INTRODUCTION = "-- The newest version; `make references` writes it from all versions.\n"
COMMANDS_INTRODUCTION = """\
# Commands

`orchestrator COMMAND --help` prints what this page has about a command. `make references` writes
this page from the program.

- `BATCH` is a folder, `NAME` (the newest batch of that name) or `NAME/ID`. `SPEC` is a file, or `-`
  for standard input.
- Results go to stdout, everything else to stderr. With `--json`, stdout has one JSON document;
  `watch` and `run --dates` print several, one in each line. The last line of stderr is then the
  error that ended the command, as an object with `code`, `kind` and `message`.
- `--select` has one grammar everywhere: `"tag:eu,status:FAILED name:shop-*"`. A comma means *and*,
  a space means *or*. A selection that names no job ends with 2.

<!-- page not run: the specs and batches of the examples are those of the reader -->
"""
SETTINGS_INTRODUCTION = """\
# Settings

A setting applies to all batches of a machine or a folder. `make references` writes this page from
the program.

The first of these that has a value wins:

1. a flag of the command, such as `--output`
2. an environment variable
3. the spec, if it has a field of that name (`max_runs`, `[notify]`)
4. the file of `--config`, or `config.toml` in the working folder, or `config.toml` in the folder
   `orchestrator` of your user's config folder (`~/.config`)
5. the default

`config.example.toml` has every setting with its default. A variable or a name that looks like a
misspelt setting is an error.
"""
FIRST_ROW = (
    "| (the token) | `APIFY_TOKEN` | text |  | The API token. Without it, the one that "
    "`apify login` saved is used. A config file must not have it, because files are copied. |"
)


def command_reference() -> str:
    """The text of `docs/commands.md`."""
    lines = [COMMANDS_INTRODUCTION]
    for title, group in GROUPS.items():
        lines += [f"## {title[0].upper()}{title[1:]}", ""]
        for name, command in group.items():
            lines += _command(f"orchestrator {name}", command_parser(name), "###")
            examples = [re.sub(r"\s{2,}", "    # ", example) for example in command.examples]
            lines += ["```sh", *examples, "```", ""]
    codes = EXIT_CODES.partition("\n\n")[0].splitlines()[1:]
    rows = [code.strip().split("  ", 1) for code in codes]
    lines += ["## Exit codes", "", "| exit code | meaning |", "| --- | --- |"]
    lines += [f"| {code} | {meaning.strip()} |" for code, meaning in rows]
    return "\n".join(lines) + "\n"


def settings_reference() -> str:
    """The text of `docs/settings.md`."""
    schema = Settings.model_json_schema()["properties"]
    lines = [SETTINGS_INTRODUCTION, "| setting | variable | values | default | meaning |"]
    lines += ["| --- | --- | --- | --- | --- |", FIRST_ROW]
    for name in file_names():
        field = Settings.model_fields[name]
        default = _default(field.default)
        cells = (f"`{name}`", f"`{variable_of(name)}`", _values(schema[name]), default)
        lines.append(f"| {' | '.join(cells)} | {field.description} |")
    return "\n".join(lines) + "\n"


def _command(name: str, parser: argparse.ArgumentParser, level: str) -> Iterator[str]:
    yield from (f"{level} {name}", "", f"{(parser.description or '').strip()}", "")
    nested: list[argparse._SubParsersAction[Any]] = []
    rows = []
    for action in parser._actions:  # noqa: SLF001 - argparse shows its options in no other way
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - as above
            nested.append(action)
        elif action.dest != "help" and action.help != argparse.SUPPRESS:
            rows.append(f"| {_names(action)} | {_meaning(action, parser.prog)} |")
    if rows:
        yield from ("| argument | meaning |", "| --- | --- |", *rows, "")
    for action in nested:
        for inner, its_parser in action.choices.items():
            yield from _command(f"{name} {inner}", its_parser, f"{level}#")


def _names(action: argparse.Action) -> str:
    metavar = action.metavar or ("" if action.nargs == 0 else action.dest.upper())
    values = "|".join(map(str, action.choices)) if action.choices else str(metavar)
    if action.nargs == 0:
        values = ""
    if action.nargs in ("+", "*"):
        values = f"{values}…"
    shown = [f"{name} {values}".strip() for name in action.option_strings] or [values]
    if not action.required and not action.option_strings:
        shown = [f"[{values}]"]
    return ", ".join(f"`{name}`" for name in shown).replace("|", "\\|")


def _meaning(action: argparse.Action, prog: str) -> str:
    text = " ".join((action.help or "").split())
    filled = text % {**vars(action), "prog": prog} if "%" in text else text
    return filled.replace("|", "\\|")


def _values(field: dict[str, Any]) -> str:
    kinds = [kind for kind in field.get("anyOf", [field]) if kind.get("type") != "null"]
    return (
        "text, or a list of texts"
        if "array" in str(kinds)
        else allowed_values({"anyOf": kinds}, {})
    )


def _default(default: Any) -> str:
    if default is None or default in ((), ""):
        return ""
    if isinstance(default, float) and default.is_integer():
        default = int(default)
    return f"`{json.dumps(str(default) if isinstance(default, Path) else default)}`"


REFERENCES: Mapping[str, Callable[[], str]] = {
    "spec.md": spec_reference,
    "commands.md": command_reference,
    "settings.md": settings_reference,
}


def newest_schema() -> str:
    """The schema that all versions lead to, for new files."""
    with closing(sqlite3.connect(":memory:")) as db:
        for script in migrations():
            db.executescript(script)
        rows = db.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")
        return NEWEST_INTRODUCTION + "\n".join(f"{sql};\n" for (sql,) in rows)


if __name__ == "__main__":
    NEWEST.write_text(newest_schema())
    for page, written in REFERENCES.items():
        (DOCS / page).write_text(written())
