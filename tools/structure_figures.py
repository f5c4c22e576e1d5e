"""
Prints figures about the structure of the code: modules, arrows, imports, arguments, names.

`python -m tools.structure_figures [FOLDER…]` measures packages, in any checkout. Without folders it
measures `orchestrator` and `apify_emulator`. docs/layout.md holds figures of earlier times.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

PACKAGES = (Path("orchestrator"), Path("apify_emulator"))
"""The folders that are measured when none is named."""

MEANT_TWICE = frozenset({"__init__", "__main__"})
"""Names that Python itself gives to many files."""

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """
    What is counted in a set of packages.

    Attributes:
        modules: files with the ending `.py`.
        lines: their lines, with comments and blank lines.
        longest_module: the lines of the longest one.
        named_by_ing: modules whose name ends in -ing, which says what happens, not what is there.
        names_twice: names of two or more modules, each with their number.
        late_imports: import statements inside functions.
        most_arguments: the arguments of the function that takes most, without `self` and `cls`.
        arrows: pairs of files or folders directly in a package, the first of which imports the
            second.
        app_arrows: the same directly in `orchestrator/app`.
    """

    modules: int
    lines: int
    longest_module: int
    named_by_ing: int
    names_twice: Mapping[str, int]
    late_imports: int
    most_arguments: int
    arrows: int
    app_arrows: int

    def rows(self) -> Iterator[tuple[str, int]]:
        """The figures, each with the words that docs/layout.md has for it."""
        yield "modules", self.modules
        yield "lines", self.lines
        yield "lines of the longest module", self.longest_module
        yield "arrows between files and folders directly in a package", self.arrows
        yield "arrows between files and folders directly in `app/`", self.app_arrows
        yield "import statements inside functions", self.late_imports
        yield "most arguments of one function", self.most_arguments
        yield "file names that stand twice or more", len(self.names_twice)
        yield "modules named with -ing", self.named_by_ing


def measure(packages: Iterable[Path]) -> Figures:
    """Measures all modules below the packages; a package is a folder named as it is imported."""
    places = [(path, package) for package in packages for path in sorted(package.rglob("*.py"))]
    texts = {path: path.read_text() for path, _ in places}
    trees = {path: ast.parse(text) for path, text in texts.items()}
    functions = [node for tree in trees.values() for node in _functions(tree)]
    names = Counter(path.stem for path, _ in places if path.stem not in MEANT_TWICE)
    modules = {path: _module(path, package) for path, package in places}
    imports = [
        (source, target)
        for path, source in modules.items()
        for target in _imported(trees[path])
        if target[0] in {package.name for _, package in places}
    ]
    return Figures(
        modules=len(places),
        lines=sum(len(text.splitlines()) for text in texts.values()),
        longest_module=max((len(text.splitlines()) for text in texts.values()), default=0),
        named_by_ing=sum(path.stem.endswith("ing") for path, _ in places),
        names_twice={name: count for name, count in sorted(names.items()) if count > 1},
        late_imports=len({id(node) for function in functions for node in _import_nodes(function)}),
        most_arguments=max(map(_arguments, functions), default=0),
        arrows=_arrows(imports, inside=()),
        app_arrows=_arrows(imports, inside=("orchestrator", "app")),
    )


def _module(path: Path, package: Path) -> tuple[str, ...]:
    parts = (package.name, *path.relative_to(package).with_suffix("").parts)
    return parts[:-1] if parts[-1] == "__init__" else parts


def _functions(tree: ast.AST) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def _import_nodes(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node


def _imported(tree: ast.AST) -> Iterator[tuple[str, ...]]:
    """The modules and names that a module imports, all by their whole path."""
    for node in _import_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif node.module and not node.level:
            parts = tuple(node.module.split("."))
            yield from ((*parts, alias.name) for alias in node.names)


def _arguments(function: Function) -> int:
    given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return sum(argument.arg not in {"self", "cls"} for argument in given)


def _arrows(
    imports: Iterable[tuple[tuple[str, ...], tuple[str, ...]]], *, inside: tuple[str, ...]
) -> int:
    """How many different parts directly inside a package import which others, by pairs."""
    depth = len(inside) or 1
    pairs = {
        (source[: depth + 1], target[: depth + 1])
        for source, target in imports
        if min(len(source), len(target)) > depth
        and source[:depth] == target[:depth]
        and source[: len(inside)] == inside
    }
    return sum(source != target for source, target in pairs)


def main(arguments: list[str]) -> None:
    """Prints the figures, a line each, then the names that stand twice."""
    figures = measure([Path(argument) for argument in arguments] or PACKAGES)
    for words, number in figures.rows():
        print(f"{number:>7,}  {words}")
    twice = (f"{name} ({count})" for name, count in figures.names_twice.items())
    print("Names twice or more:", ", ".join(twice) or "none")


if __name__ == "__main__":
    main(sys.argv[1:])
