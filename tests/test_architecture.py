"""Rules about the code that no linter knows."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "orchestrator"
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_test_says_what_it_shows(path: Path) -> None:
    """Each test has a sentence that would make sense to a user."""
    tree = ast.parse(path.read_text())
    silent = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_no_module_is_named_after_nothing() -> None:
    """A file's name says which question it answers."""
    names = {path.stem for path in PACKAGE.rglob("*.py")}
    assert not names & {"utils", "helpers", "misc", "util"}


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        (
            "orchestrator.cli.parser",
            ["aiohttp", "pydantic", "rich", "jinja2", "anyio", "structlog"],
        ),
        ("orchestrator.specfile", ["aiohttp", "anyio", "rich"]),
        ("orchestrator.ledger", ["aiohttp", "anyio", "rich", "jinja2"]),
    ],
)
def test_module_does_not_import_what_it_does_not_need(module: str, heavy: list[str]) -> None:
    """Commands start fast, since heavy libraries are imported where they are used."""
    code = f"import sys, {module}; print([n for n in {heavy!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        (["--help"], ["aiohttp", "pydantic", "pydantic_settings", "structlog", "rich"]),
        (["run"], ["aiohttp", "pydantic", "pydantic_settings", "structlog", "rich"]),
        (["logs", "none", "job"], ["rich"]),
    ],
    ids=["help", "usage error", "command"],
)
def test_command_does_not_import_what_it_does_not_need(
    words: list[str], heavy: list[str], tmp_path: Path
) -> None:
    """Help and usage errors come at once, and the log does without what draws on terminals."""
    code = (
        "import atexit, sys; from orchestrator.cli.main import main;"
        f"atexit.register(lambda: print('\\n', [n for n in {heavy!r} if n in sys.modules]));"
        f"main({words!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.stdout.splitlines()[-1].strip() == "[]", done.stderr


def test_commands_import_at_the_top() -> None:
    """The module of a command is imported once its arguments are known to be right."""
    late = [
        f"{path.name}:{node.lineno}"
        for path in sorted((PACKAGE / "cli" / "commands").glob("*.py"))
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    assert late == []
