"""
Breaks one small thing at a time, and lists what no test of the fast tiers notices.

    python -m bench.mutations --count 100 --seed 1

A comparison is turned, a call removed, a condition negated or a value replaced, in the scheduler,
the ledger and the sender. Each mutant runs in a copy of the project against the tests of the tiers
unit, client and simulation, in short form. It takes about half a minute for each.
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
TIERS = (
    ("tests/unit/scheduler", "tests/unit/ledger", "tests/unit/apify"),
    ("tests/client", "tests/unit/collector", "tests/simulation/test_nights.py"),
    ("tests/simulation/test_refusals.py", "tests/simulation/test_silence.py"),
)
LONGEST_SECS = 900
TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mutation:
    """One place, and what stands there instead."""

    path: Path
    line: int
    start: int
    end: int
    before: str
    after: str

    def __str__(self) -> str:
        place = f"{self.path.relative_to(ROOT)}:{self.line}"
        before, after = " ".join(self.before.split()), " ".join(self.after.split())
        return f"{place}: {before[:90]} -> {after[:90]}"


def mutations_of(path: Path) -> Iterator[Mutation]:
    """Every mutation of a file."""
    text = path.read_text()
    lines = text.splitlines(keepends=True)
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line.encode()))
    source = text.encode()
    for node in ast.walk(ast.parse(text)):
        after = _instead(node)
        if after is None or not isinstance(node, (ast.expr, ast.stmt)):
            continue
        start = offsets[node.lineno - 1] + node.col_offset
        end = offsets[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        yield Mutation(path, node.lineno, start, end, source[start:end].decode(), after)


def _instead(node: ast.AST) -> str | None:
    """What is written in the place of a node; None where it is left alone."""
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
        case ast.Constant(value=int(value) | float(value)):
            return str(value + 1)
    return None


def tried(mutation: Mutation, folder: Path, nights: int) -> str | None:
    """Which tier notices a mutation; None when none does."""
    target = folder / mutation.path.relative_to(ROOT)
    source = mutation.path.read_bytes()
    target.write_bytes(source[: mutation.start] + mutation.after.encode() + source[mutation.end :])
    try:
        return next((tier[0] for tier in TIERS if _fails(tier, folder, nights)), None)
    finally:
        target.write_bytes(source)


def _fails(tier: tuple[str, ...], folder: Path, nights: int) -> bool:
    words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:randomly", *tier]
    environment = {**os.environ, "PYTHONPATH": str(folder), "ORCHESTRATOR_NIGHTS": str(nights)}
    try:
        done = subprocess.run(
            words,
            cwd=folder,
            env=environment,
            capture_output=True,
            timeout=LONGEST_SECS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


def main() -> None:
    """Tries some mutations, and prints each with the tier that noticed it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--nights", type=int, default=30, help="simulated nights for each mutant")
    options = parser.parse_args()
    paths = sorted(path for pattern in TARGETS for path in ROOT.glob(pattern))
    every = [mutation for path in paths for mutation in mutations_of(path)]
    chance = random.Random(options.seed)  # noqa: S311 - to be repeatable
    survivors = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "project"
        left_out = shutil.ignore_patterns(".venv", ".git", "output", "*.pyc", ".mypy_cache")
        shutil.copytree(ROOT, folder, ignore=left_out)
        if any(_fails(tier, folder, options.nights) for tier in TIERS):
            sys.exit("the tests fail without a mutation")
        chosen = chance.sample(every, min(options.count, len(every)))
        for number, mutation in enumerate(chosen, 1):
            tier = tried(mutation, folder, options.nights)
            print(f"{number:3} {tier or 'SURVIVES'}  {mutation}", flush=True)
            survivors += [] if tier else [mutation]
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} are noticed; the others:")
    for mutation in survivors:
        print(f"  {mutation}")


if __name__ == "__main__":
    main()
