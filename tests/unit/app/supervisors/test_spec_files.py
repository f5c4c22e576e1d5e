"""Which files go with a spec to another machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.app.supervisors.spec_files import files_of
from orchestrator.errors import UsageError
from orchestrator.specfile import load_spec

ACTOR = '[batch]\nname = "b"\n[[jobs]]\nname = "{{ n }}"\nactor = "me/actor"\n'


def loaded_files(folder: Path, table: str) -> dict[str, str]:
    """The files of a spec, with the given lines of its table of jobs."""
    for name in ("base.json", "page.js", "lib.js", "again.js", "rows.csv", "n.txt"):
        (folder / name).write_text(f"text of {name}")
    (folder / "s.toml").write_text(ACTOR + table)
    return files_of(load_spec(folder / "s.toml", output=folder / "output"))


def test_every_file_that_a_spec_reads_goes_with_it(tmp_path: Path) -> None:
    """The spec, the texts of its input, the table below it, and the values of its matrix."""
    found = loaded_files(
        tmp_path,
        'input_file = "base.json"\n'
        'input = { page = { text_file = "page.js" }, all = [{ text_file = "lib.js" }] }\n'
        'rules = [{ status = "FAILED", input = { page = { text_file = "again.js" } } }]\n'
        'matrix = { n = { file = "n.txt" }, rows = { file = "rows.csv" } }\n',
    )
    assert set(found) == {
        "s.toml", "base.json", "page.js", "lib.js", "again.js", "n.txt", "rows.csv",
    }  # fmt: skip
    assert found["page.js"] == "text of page.js"


def test_values_that_are_called_like_files_are_none(tmp_path: Path) -> None:
    """Fields of an input, and parameters, may have any name."""
    found = loaded_files(
        tmp_path,
        'input = { input_file = "{{ file }}", text = { text_file = "a", more = 1 } }\n'
        'matrix = { rows = [{ n = 1, file = "none.pdf" }] }\n',
    )
    assert set(found) == {"s.toml"}


@pytest.mark.parametrize(
    "field",
    ["input_file = '{{ n }}.json'", "input = { a = { text_file = '{{ n }}.js' } }"],
    ids=["input", "text"],
)
def test_file_that_a_template_names_is_refused(tmp_path: Path, field: str) -> None:
    """It would be missing on the other machine, at night."""
    with pytest.raises(UsageError, match="a template names the file"):
        loaded_files(tmp_path, f"{field}\nmatrix = {{ n = [1] }}\n")
