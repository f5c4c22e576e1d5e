"""Rules about the code that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from orchestrator.cli.command_list import COMMANDS

ROOT = Path(__file__).parent.parent
PACKAGES = (ROOT / "orchestrator", ROOT / "apify_emulator")
MODULES = sorted(path for package in PACKAGES for path in package.rglob("*.py"))
LONGEST_LINE = 100
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
TEST_FILES = sorted((ROOT / "tests").rglob("*.py"))
FOLDERS = ("orchestrator", "apify_emulator", "tests", "bench", "tools", "jobs")
MOST_LINES = 400
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
STATEMENTS = (ast.stmt, ast.ExceptHandler, ast.match_case)
NAMES_OF_ONE_MEANING = {"collect", "prune", "runs"}
"""A command and what it calls, or a run on both sides of the API."""


COMMAND = ["aiohttp", "jinja2", "psycopg"]
LIGHT = {
    "orchestrator.cli.parser": ["anyio", "pydantic", "rich", "structlog", *COMMAND],
    "orchestrator.ledger": ["anyio", "rich", *COMMAND],
    "orchestrator.specfile": ["anyio", "rich", *COMMAND],
    **{
        f"orchestrator.cli.commands.{name}": COMMAND
        for name in ("list", "plan", "status", "validate", "verify", "watch")
    },
}
"""What each module may not import, from the most to the least."""


def found_in(
    paths: Iterable[Path], find: Callable[[ast.Module], Iterable[str]], word: str = ""
) -> dict[str, list[str]]:
    """
    What is found in files, by their names; files without anything are left out.

    One test for all of them: a test for each file would take longer than its check.

    Args:
        word: only files with this word are looked at.
    """
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in paths}
    trees = {name: _tree(text) for name, text in texts.items() if word in text}
    return {name: found for name, tree in trees.items() if (found := list(find(tree)))}


@cache
def _tree(text: str) -> ast.Module:
    return ast.parse(text)


def test_every_test_has_a_docstring() -> None:
    """Each test says in a sentence what it shows, in words that make sense to a user."""

    def silent(tree: ast.Module) -> Iterator[str]:
        for node in _with_docstrings(tree):
            if (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                and node.name.startswith("test_")
                and not ast.get_docstring(node)
            ):
                yield node.name

    assert found_in(TESTS, silent) == {}


def _with_docstrings(tree: ast.Module) -> Iterator[Documented]:
    """The module, the classes and the functions of a file."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, Documented):
            yield node
        # Expressions, which are most of the nodes, have none of them.
        todo += (child for child in ast.iter_child_nodes(node) if isinstance(child, STATEMENTS))


def test_no_python_file_is_too_long() -> None:
    """A file answers one question; a longer one has a second subject inside."""
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in paths}
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}


def test_no_module_has_a_name_without_meaning() -> None:
    """The name of a file says which question it answers."""
    names = {path.stem for path in MODULES}
    assert not names & {"utils", "helpers", "misc", "util"}


def test_emulator_has_no_file_name_twice() -> None:
    """One name leads to one file, so that a newcomer finds the right one."""
    names = [path.stem for path in MODULES if path.is_relative_to(ROOT / "apify_emulator")]
    twice = {name for name in names if names.count(name) > 1}
    assert twice == {"__init__"}


def test_orchestrator_has_no_file_name_with_two_meanings() -> None:
    """Two files have one name only where they are two sides of one thing."""
    names = [path.stem for path in MODULES if path.is_relative_to(ROOT / "orchestrator")]
    twice = {name for name in names if names.count(name) > 1}
    assert twice - {"__init__"} == NAMES_OF_ONE_MEANING


def test_no_test_rewrites_a_constant() -> None:
    """A test passes such a value in, as any caller can."""

    def rewritten(tree: ast.Module) -> Iterator[str]:
        for node in ast.walk(tree):
            for name in _rewritten_names(node):
                if name.rpartition(".")[2].isupper():
                    yield name

    assert found_in(TEST_FILES, rewritten) == {}


def _rewritten_names(node: ast.AST) -> Iterator[str]:
    """The names that a node sets on a module or a class: by a call, or by an assignment."""
    if isinstance(node, ast.Call):
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if called in {"setattr", "patch", "object", "multiple"}:
            yield from (
                given.value
                for given in node.args[:2]
                if isinstance(given, ast.Constant) and isinstance(given.value, str)
            )
    if isinstance(node, ast.Assign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (ast.unparse(one) for one in targets if isinstance(one, ast.Attribute))


def test_links_are_followed_by_a_function_that_raises_no_error() -> None:
    """A loop of links is never a bug: `realpath` accepts it, `Path.resolve` does not."""

    def calls(tree: ast.Module) -> Iterator[str]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                yield from {node.func.attr} & {"resolve"}

    assert found_in(MODULES, calls, word="resolve") == {}


def test_docstring_of_one_sentence_is_on_one_line() -> None:
    """All docstrings have the same form."""

    def long_form(tree: ast.Module) -> Iterator[str]:
        for node in _with_docstrings(tree):
            text = ast.get_docstring(node)
            if not text:
                continue
            first = node.body[0]
            fits = first.col_offset + len(text) + 6 <= LONGEST_LINE
            if "\n" not in text and fits and first.end_lineno != first.lineno:
                yield text

    assert found_in(MODULES, long_form) == {}


def test_modules_do_not_import_what_they_do_not_need() -> None:
    """Commands start fast, because they import heavy libraries only where they use them."""
    # In one process: what one of them imported would be found after each that follows.
    code = (
        "import sys, importlib\n"
        f"for module, heavy in {LIGHT!r}.items():\n"
        "    importlib.import_module(module)\n"
        "    print(*(f'{module}: {name}' for name in heavy if name in sys.modules), sep='', end='')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""


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
    """Help and usage errors appear at once, and reading the log needs no terminal library."""
    code = (
        "import atexit, sys; from orchestrator.cli.main import main;"
        f"atexit.register(lambda: print('\\n', [n for n in {heavy!r} if n in sys.modules]));"
        f"main({words!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.stdout.splitlines()[-1].strip() == "[]", done.stderr


def test_commands_in_messages_are_written_for_a_shell() -> None:
    """A path after the name of a command has the quotes of a shell: `pasted_command` sets them."""
    assert found_in(MODULES, _unquoted_commands, "orchestrator ") == {}


def _unquoted_commands(tree: ast.Module) -> Iterator[str]:
    # A schema of a database has this name in another kind of list.
    names = "|".join(COMMANDS.keys() - {"schema"})
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            for text, value in pairwise(node.values):
                if isinstance(text, ast.Constant) and isinstance(value, ast.FormattedValue):
                    yield from re.findall(f"orchestrator (?:{names}) $", str(text.value))


def test_commands_import_at_the_top() -> None:
    """A command is imported after its arguments are checked, and defers one import at most."""
    late = [
        path.name
        for path in sorted((ROOT / "orchestrator" / "cli" / "commands").glob("*.py"))
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    assert len(late) == len(set(late))
