"""
Breaks one small thing at a time, and lists what no test of the fast tiers notices.

    python -m bench.mutations --count 100 --seed 1
    python -m bench.mutations --at orchestrator/scheduler/loop.py:525

A mutation changes a comparison, removes a call, negates a condition or replaces a value, in the
scheduler, the ledger and the sender. Each one runs in a copy of the project, first with the unit
and client tests of its part, then, if none fails, with the simulations.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGETS = (
    "orchestrator/scheduler/**/*.py",
    "orchestrator/ledger/*.py",
    "orchestrator/apify/policy/sender.py",
    "orchestrator/apify/starts.py",
)
UNIT = {
    "scheduler": ("unit/scheduler", "unit/app/test_spending.py"),
    "ledger": ("unit/ledger", "unit/scheduler", "unit/app/test_spending.py"),
    "apify": ("unit/apify", "client", "unit/collector"),
}
SIMULATION = (
    "held_starts",
    "hidden_agents",
    "lost_answers",
    "simulated_batches",
    "refusals",
    "silence",
)
# The number of seeds of each simulation, unless `--simulations` changes it.
SIMULATIONS = 8
LONGEST_SECS = 900.0
# A run that takes this many times as long as without a mutation counts as noticed.
PATIENCE = 8
SMALL = 10
TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mutation:
    """One place, and the text that replaces it."""

    path: Path
    line: int
    start: int
    end: int
    before: str
    after: str

    @property
    def place(self) -> str:
        """The file and the line."""
        return f"{self.path.relative_to(ROOT)}:{self.line}"

    def __str__(self) -> str:
        before, after = " ".join(self.before.split()), " ".join(self.after.split())
        return f"{self.place}: {before[:90]} -> {after[:90]}"


def mutations_of(path: Path) -> Iterator[Mutation]:
    """Every mutation of a file."""
    text = path.read_text()
    lines = text.splitlines(keepends=True)
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line.encode()))
    source = text.encode()
    tree = ast.parse(text)
    without_effect = set(_options_of_dataclasses(tree))
    for node in ast.walk(tree):
        if node in without_effect:
            continue
        after = _replacement_of(node)
        if after is None or not isinstance(node, (ast.expr, ast.stmt)):
            continue
        start = offsets[node.lineno - 1] + node.col_offset
        end = offsets[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        yield Mutation(path, node.lineno, start, end, source[start:end].decode(), after)


def _options_of_dataclasses(tree: ast.AST) -> Iterator[ast.AST]:
    """The decorators that make a class frozen or slotted, which change no behaviour."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for decorator in node.decorator_list:
                yield from ast.walk(decorator)


def _replacement_of(node: ast.AST) -> str | None:
    """The replacement for a node; None if it stays."""
    match node:
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            turned = TURNED[type(operator)]()
            return f"({ast.unparse(ast.Compare(left, [turned], [right]))})"
        case ast.Expr(value=ast.Call() | ast.Await(value=ast.Call())):
            return "pass"
        case ast.BoolOp(op=ast.And(), values=values):
            return f"({ast.unparse(ast.BoolOp(ast.Or(), values))})"
        case ast.BoolOp(op=ast.Or(), values=values):
            return f"({ast.unparse(ast.BoolOp(ast.And(), values))})"
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return f"({ast.unparse(operand)})"
        case ast.Constant(value=bool(value)):
            return str(not value)
        case ast.Constant(value=int(value)) if abs(value) <= SMALL:
            return str(value + 1)
        case ast.Constant(value=int(value) | float(value)):
            return str(value * 2 + 1)
    return None


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of the project, in which one mutation at a time is tried."""

    folder: Path
    simulations: int

    def try_out(self, mutation: Mutation, tests: list[str], longest_secs: float) -> str | None:
        """The test that notices a mutation; None if none does."""
        target = self.folder / mutation.path.relative_to(ROOT)
        source = mutation.path.read_bytes()
        start, end = source[: mutation.start], source[mutation.end :]
        target.write_bytes(start + mutation.after.encode() + end)
        try:
            return self.first_failure(tests, longest_secs)
        finally:
            target.write_bytes(source)

    def first_failure(self, tests: list[str], longest_secs: float = LONGEST_SECS) -> str | None:
        """The first test that fails, of those at some paths."""
        words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
        simulations = {
            "PYTHONPATH": str(self.folder),
            "ORCHESTRATOR_SIMULATIONS": str(self.simulations),
        }
        try:
            done = subprocess.run(
                words,
                cwd=self.folder,
                env={**os.environ, **simulations},
                capture_output=True,
                text=True,
                timeout=longest_secs,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "takes too long"
        if done.returncode == 0:
            return None
        reported = [
            line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))
        ]
        return reported[0].split(" - ")[0] if reported else "ends early"


def tests_of(path: Path, tier: str) -> list[str]:
    """The tests of a tier that may notice a mutation of a file, the likeliest first."""
    if tier == "simulation":
        return [f"tests/simulation/test_{name}.py" for name in SIMULATION]
    found: list[Path] = []
    for place in UNIT[path.relative_to(ROOT).parts[1]]:
        at = ROOT / "tests" / place
        found += [at] if at.is_file() else sorted(at.rglob("test_*.py"))
    found.sort(key=lambda test: test.stem != f"test_{path.stem}")
    return [str(test.relative_to(ROOT)) for test in found]


def survivors_of(mutations: list[Mutation], tier: str, copy: Copy) -> list[Mutation]:
    """The mutations that no test of a tier notices; prints each as it is tried."""
    longest_secs: dict[tuple[str, ...], float] = {}
    survivors = []
    for number, mutation in enumerate(mutations, 1):
        tests = tests_of(mutation.path, tier)
        group = tuple(sorted(tests))
        if group not in longest_secs:
            began = time.monotonic()
            if failed := copy.first_failure(tests):
                sys.exit(f"the tests fail without a mutation: {failed}")
            longest_secs[group] = 60 + PATIENCE * (time.monotonic() - began)
        noticed = copy.try_out(mutation, tests, longest_secs[group])
        print(f"{number:3} {mutation}  {noticed or 'SURVIVES ' + tier}", flush=True)
        survivors += [] if noticed else [mutation]
    return survivors


def main() -> None:
    """Tries some mutations, and prints each with the test that noticed it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--simulations", type=int, default=SIMULATIONS, help="seeds of each simulation"
    )
    parser.add_argument("--at", action="append", help="FILE:LINE, in the place of a sample")
    options = parser.parse_args()
    paths = sorted(path for pattern in TARGETS for path in ROOT.glob(pattern))
    every = [mutation for path in paths for mutation in mutations_of(path)]
    chance = random.Random(options.seed)  # noqa: S311 - to be repeatable
    if options.at:
        chosen = [one for one in every if one.place in options.at]
    else:
        chosen = chance.sample(every, min(options.count, len(every)))
    with tempfile.TemporaryDirectory() as name:
        copy = Copy(Path(name) / "project", options.simulations)
        left_out = shutil.ignore_patterns(".venv", ".git", "output", "*.pyc", ".mypy_cache")
        shutil.copytree(ROOT, copy.folder, ignore=left_out)
        survivors = survivors_of(chosen, "unit and client", copy)
        survivors = survivors_of(survivors, "simulation", copy)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} are noticed; the others:")
    for mutation in survivors:
        print(f"  {mutation}")


if __name__ == "__main__":
    main()
