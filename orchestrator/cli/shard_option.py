"""Which shard a call is, and for which occurrence: from the options, or from what started it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from orchestrator.app.setup.settings_sources import JOB_NAME, SHARD, SHARDS
from orchestrator.errors import UsageError
from orchestrator.model.shard import Shard

GIVEN = re.compile(r"([0-9]+)/([0-9]+)")
MINUTES = re.compile(r".+-([0-9]{8})")
"""The name of a Job that a CronJob has made: it ends with the minutes since 1970."""


def shard_of(
    given: str | None, environment: Mapping[str, str], *, has_server: bool
) -> Shard | None:
    """
    The shard of a call; None if it works alone.

    Kubernetes counts its indexes from 0, and Slurm from any number.

    Args:
        given: the value of `--shard`.
        has_server: whether ledgers are in PostgreSQL; without that, there are no shards.

    Raises:
        UsageError: it is not a shard, or ledgers are in files.
    """
    text, source = given, "--shard"
    if text is None and environment.get(SHARD):
        text, source = environment[SHARD], SHARD
    if text is not None:
        return _parse(text, source, has_server=has_server)
    if not has_server:
        return None
    index = _number(environment, "JOB_COMPLETION_INDEX")
    if index is not None:
        number, of = index + 1, _number(environment, SHARDS)
    elif (task := _number(environment, "SLURM_ARRAY_TASK_ID")) is not None:
        number = task - (_number(environment, "SLURM_ARRAY_TASK_MIN") or 0) + 1
        of = _number(environment, "SLURM_ARRAY_TASK_COUNT")
    else:
        return None
    # How many there are decides only which jobs come first.
    return Shard(number=number, of=max(number, of or 1))


def due_time_of_job(environment: Mapping[str, str]) -> datetime | None:
    """When the CronJob was due that has started this process; None if none has."""
    found = MINUTES.fullmatch(environment.get(JOB_NAME, ""))
    return None if found is None else datetime.fromtimestamp(60 * int(found[1]), UTC)


def _parse(text: str, source: str, *, has_server: bool) -> Shard:
    found = GIVEN.fullmatch(text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(f"{source}: expected K/N with K from 1 to N, such as 2/4, found {text!r}")
    if not has_server:
        raise UsageError(
            f"{source} needs a ledger that all shards can reach: add --ledger postgresql://…, or "
            "leave it out"
        )
    return Shard(number=int(found[1]), of=int(found[2]))


def _number(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name, "")
    if text and not text.isdecimal():
        # Without its number, each of the processes would make a batch of its own.
        raise UsageError(f"{name}: expected a whole number from 0, found {text!r}")
    return int(text) if text else None
