"""The public names, and the fields that the Python API shares with specs."""

from __future__ import annotations

from dataclasses import fields

import pytest

import orchestrator
from orchestrator.api.batch_options import LIMITS, BatchOptions
from orchestrator.api.job import Job
from orchestrator.specfile.model import BatchTable, JobTable


def test_every_public_name_can_be_imported() -> None:
    """`from orchestrator import NAME` works for all names that the package lists."""
    names = set(orchestrator.__all__)
    assert names == {*orchestrator.HOMES, "__version__"} == set(dir(orchestrator))
    assert all(getattr(orchestrator, name) for name in names)


def test_unknown_name_is_no_attribute() -> None:
    """A misspelt name of the package is Python's usual error."""
    with pytest.raises(AttributeError, match="has no attribute 'Bach'"):
        getattr(orchestrator, "Bach")  # noqa: B009 - a checker knows that it is missing


def test_job_has_every_field_of_a_spec() -> None:
    """What a job of a spec can say, a job of Python can say too."""
    known = {field.alias or name for name, field in JobTable.model_fields.items()}
    assert {field.name for field in fields(Job)} == known


def test_batch_has_every_field_of_a_spec() -> None:
    """What `[batch]` can say, a batch of Python can say too."""
    assert {"name", *LIMITS} == set(BatchTable.model_fields)
    assert "name" not in BatchOptions.__annotations__
