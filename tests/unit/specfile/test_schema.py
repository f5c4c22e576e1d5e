from __future__ import annotations

import subprocess
import sys
from typing import Any

import jsonschema_rs
import pytest

from orchestrator.specfile import spec_schema

JOB: dict[str, Any] = {"name": "j", "actor": "a/b"}


def complaints(**job: Any) -> list[str]:
    """What an editor shows for a spec with one job."""
    validator = jsonschema_rs.Draft202012Validator(spec_schema())
    spec = {"batch": {"name": "b"}, "jobs": [JOB | job]}
    return [error.message for error in validator.iter_errors(spec)]


def test_schema_accepts_its_own_example() -> None:
    """The schema is valid, and so is its example."""
    schema: Any = spec_schema()
    jsonschema_rs.meta.validate(schema)
    (example,) = schema["examples"]
    assert jsonschema_rs.Draft202012Validator(schema).is_valid(example)


@pytest.mark.parametrize(
    "job",
    [
        {"memory_mbytes": "{{ mem }}"},
        {"memory_mbytes": 1024, "max_total_charge_usd": 0.5},
        {"matrix": {"n": [1, "a"], "m": {"range": [1, 5]}}},
        {"input": "{{ table }}"},
    ],
    ids=str,
)
def test_schema_accepts_what_the_loader_accepts(job: dict[str, Any]) -> None:
    """Templates in place of numbers, ranges and lists are valid in an editor too."""
    assert complaints(**job) == []


@pytest.mark.parametrize(
    "job",
    [{"memory": 1}, {"memory_mbytes": 300}, {"retries": None}, {"matrix": {"n": 3}}],
    ids=str,
)
def test_schema_refuses_what_the_loader_refuses(job: dict[str, Any]) -> None:
    """Wrong names and values are underlined."""
    assert complaints(**job)


def test_every_field_is_described() -> None:
    """An editor shows a text for each field, except those that the API describes."""
    schema: Any = spec_schema()
    for name, table in schema["$defs"].items():
        if name not in {"WebhookTable", "JsonValue"}:
            assert all("description" in field for field in table["properties"].values()), name


def test_package_loads_its_parts_only_when_needed() -> None:
    """A program that imports a small module does not load the models and the templates."""
    code = (
        "import sys, orchestrator.specfile, orchestrator.specfile.diagnostics\n"
        "import orchestrator.specfile.text.positions\n"
        "print([name for name in ('pydantic', 'jinja2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
