"""Jobs of the simulated Actor for the tests of the Python API."""

from __future__ import annotations

from typing import Any

from orchestrator import Job


def simulated(name: str, **given: Any) -> Job:
    """
    A job of the simulated Actor.

    Args:
        given: its input; and the fields of a job with a `_` at the end of their names.
    """
    fields = {key[:-1]: value for key, value in given.items() if key.endswith("_")}
    own = {key: value for key, value in given.items() if not key.endswith("_")}
    return Job(name=name, actor="orchestrator/simulated", input=own, **fields)


def sweep(numbers: list[int]) -> Job:
    """A sweep of jobs `shop-N` with N items each."""
    return simulated("shop-{{ n }}", items="{{ n }}", matrix_={"n": numbers})


def slow(name: str) -> Job:
    """A job that runs for an hour."""
    return simulated(name, duration_secs=3600)
