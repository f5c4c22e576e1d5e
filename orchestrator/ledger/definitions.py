"""Jobs as the ledger holds them: their definitions, and what they demand of the limits."""

from __future__ import annotations

from dataclasses import fields
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any

import orjson
from pydantic import TypeAdapter

from orchestrator.errors import LedgerCorrupt
from orchestrator.ledger.changed_ledger import CHANGED, reads_ledger
from orchestrator.model.jobs import JSON_TYPE, KEY, Demand, Job, JobInput, demand_of
from orchestrator.safe_text import SECRETS


@cache
def _job_adapter() -> TypeAdapter[Job]:
    # Built when it is first used: most commands need only one or two of these adapters.
    return TypeAdapter(Job)


@cache
def _demand_adapter() -> TypeAdapter[Demand]:
    return TypeAdapter(Demand)


OWN = frozenset({"seq", "key", "input", "params"})
"""The fields in which the jobs of a sweep differ, mostly."""

_other_fields = attrgetter(*(one.name for one in fields(Job) if one.name not in OWN))
_known_others: dict[tuple[int, ...], tuple[tuple[object, ...], str, str]] = {}
"""Other fields that jobs shared, by identity, their JSON, and the demand that they make."""

MOST_KNOWN = 1024
"""How many are kept: a sweep may also have other fields in each of a million jobs."""


def job_values(job: Job) -> dict[str, Any]:
    """The parameters of `insert_job`."""
    others = _other_fields(job)
    # The same objects, not equal ones: the jobs of a sweep share them, those of a target in turn.
    known = _known_others.get(tuple(map(id, others)))
    _, text, demand = _with_json(job, others) if known is None else known
    own: dict[str, Any] = {"seq": job.seq, "key": job.key}
    if not job.input.is_empty:
        own["input"] = _input_fields(job.input)
    if job.params:
        own["params"] = job.params
    return {
        "seq": job.seq,
        "key": job.key,
        "definition": f"{orjson.dumps(own).decode()[:-1]},{text}",
        "demand": demand,
        "priority": job.priority,
    }


def _with_json(job: Job, others: tuple[object, ...]) -> tuple[tuple[object, ...], str, str]:
    # Without defaults: statements such as `select_needing` find a field by its presence.
    text = _job_adapter().dump_json(job, exclude=set(OWN), exclude_defaults=True).decode()[1:]
    if len(_known_others) >= MOST_KNOWN:
        _known_others.clear()
    # Kept with the objects themselves, so that no others get their identities meanwhile.
    made = _known_others[tuple(map(id, others))] = others, text, _demand_text(demand_of(job))
    return made


def _input_fields(given: JobInput) -> dict[str, Any]:
    """An input as JSON, without defaults."""
    found: dict[str, Any] = {"sha256": given.sha256, "size_bytes": given.size_bytes}
    if given.body is not None:
        found["body"] = given.body.decode()
    if given.path is not None:
        found["path"] = given.path
    if given.content_type != JSON_TYPE:
        found["content_type"] = given.content_type
    if given.late_paths:
        found["late_paths"] = given.late_paths
    return found


@reads_ledger
def job_of(definition: str) -> Job:
    """
    The job of a `definition` column; from now on, messages redact the secrets of its input.

    Raises:
        LedgerCorrupt: it is no job, or its key would lead out of the folder of its batch.
    """
    job = _job_adapter().validate_json(definition)
    if not KEY.fullmatch(job.key):
        raise LedgerCorrupt(f"{CHANGED}: {job.key[:80]!r} is not the key of a job")
    if job.input.late_paths:
        SECRETS.add_variables(job.input.variables)
    return job


@lru_cache(maxsize=4096)
@reads_ledger
def demand_from(text: str) -> Demand:
    """The demand of a `demand` column; equal texts give the same value."""
    # Thousands of jobs have the same few demands, so each text is parsed once.
    return _demand_adapter().validate_json(text)


@lru_cache(maxsize=4096)
def _demand_text(demand: Demand) -> str:
    return _demand_adapter().dump_json(demand, exclude_defaults=True).decode()
