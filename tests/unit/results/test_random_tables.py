"""Tables of random items and options have the same rows in each format."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orchestrator.model.batches import ResultsFormat, ResultsPlan
from orchestrator.results.table_sizes import TableSizes
from tests.support.tables import exact, make_table, read_back

SEEDS = 1500 if os.environ.get("ORCHESTRATOR_SOAK") else 40
NAMES = ["k", "c", "url", "_job", "_item", "_null", "p", "K"]
VALUES = [
    "1", "2", "1.0", "0.1", "-5", "-0.0", "1e2", "true", "null", "9007199254740993", "NaN",
    "12345678901234567890", "12345678901234567891", '"1"', '"true"', '""', '"a,b"', '"a\\nb"',
    '"say \\"x\\""', '"=1"', '"\'=1"', '"-5"', '"\\ud83d"', '"\\ud83d\\ude00"', '"\\u0000"',
    "[1]", '["1"]', '{"a":1,"b":2}', '{"b": 2, "a": 1}',
]  # fmt: skip


def some_line(chance: random.Random, names: list[str], values: list[str]) -> str:
    """An item: mostly an object, seldom with a name twice."""
    if chance.random() < 0.04:
        return chance.choice(["1", "[]", '"t"', "null", "{}"])
    chosen = chance.sample(names, chance.randint(0, len(names)))
    if chosen and chance.random() < 0.05:
        chosen.append(chosen[0])
    space = chance.choice(["", " "])
    return "{" + ",".join(f'"{n}":{space}{chance.choice(values)}' for n in chosen) + "}"


def identity(value: Any) -> Any:
    """Equal for equal values of JSON: 1 is 1.0, and neither true nor a text."""
    match value:
        case bool():
            return "boolean", value
        case int() | Decimal():
            return "number", Decimal(value)
        case list():
            return "list", tuple(map(identity, value))
        case dict():
            return "table", frozenset((name, identity(inner)) for name, inner in value.items())
    return "other", value


def expected(
    jobs: list[list[str]], params: list[dict[str, Any]], plan: ResultsPlan
) -> Iterator[tuple[str, Any]]:
    """The job and the item of each row."""
    items = [(place, exact(line)) for place, lines in enumerate(jobs) for line in lines]
    fields = {name for _, item in items if isinstance(item, dict) for name in item}
    is_known = bool(plan.unique) and fields.issuperset({*plan.unique} - {"p"})
    seen = set()
    for place, item in items:
        own = item if isinstance(item, dict) else {}
        # A field has the name of a parameter for itself.
        values = own if "p" in fields else {**own, **params[place]}
        found = [values.get(name) for name in plan.unique]
        key = tuple(map(identity, found))
        if is_known and (plan.unique_missing == "drop" if None in found else key in seen):
            continue
        seen.add(key if None not in found else None)
        yield f"job-{place + 1}", identity(item)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_table_of_random_items_is_whole_in_each_format(tmp_path: Path, seed: int) -> None:
    """However few items have shown the columns, and however many rows are read at once."""
    pytest.importorskip("pyarrow")
    chance = random.Random(f"rows {seed}")  # noqa: S311 - to be repeatable
    names = chance.sample(NAMES, chance.randint(1, 3))
    values = chance.sample(VALUES, chance.choice([2, 3, 5, len(VALUES)]))
    # What the first job shows of a column, later ones often do not keep to.
    pools = [values[: chance.choice([1, 1, len(values)])], *[values] * chance.randint(0, 3)]
    jobs = [[some_line(chance, names, pool) for _ in range(chance.randint(0, 8))] for pool in pools]
    params = [{"p": chance.choice([1, 2, "x", "1"])} for _ in jobs]
    plan = ResultsPlan(
        unique=tuple(chance.sample(["k", "c", "p"], chance.choice([0, 0, 1, 2]))),
        unique_missing=chance.choice(["keep", "drop"]),
    )
    sizes = TableSizes(
        most_rows=chance.choice([1, 3, 1000]),
        most_keys=chance.choice([2, 1000]),
        sampled_jobs=chance.choice([0, 1, 1, 200]),
        sampled_bytes=chance.choice([1, 1, 10_000]),
    )
    rows = list(expected(jobs, params, plan))
    for format_ in ResultsFormat:
        one = replace(plan, format=format_)
        make_table(tmp_path / format_, jobs, params=params, plan=one, sizes=sizes)
        found = [(job, identity(item)) for job, item in read_back(tmp_path / format_)]
        assert found == rows, (format_, plan, sizes, jobs)
