"""
How a process claims a job of a batch that it shares with others, and what the answer means.

The function `claim_jobs` of the database decides, in the transaction that writes the intent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from orchestrator.ledger.definitions import job_of
from orchestrator.ledger.store import Row
from orchestrator.ledger.stored_values import remedy_of, stored
from orchestrator.model.attempts import Attempt, sent_job
from orchestrator.model.batches import FailureLimit, PoolLimits
from orchestrator.model.ids import Mark
from orchestrator.model.states import AttemptState

RUNS, MEMORY, MONEY = "runs", "memory", "money"
HALT, FAILURES, TARGET, ROOM = "halt", "failures", "target", "room of "
UNKNOWN = "unknown"
"""In place of a limit, where the answer was lost and the job was not claimed."""

ROUNDING = 1e-12
"""More than a product is off by, and less than the shares of any two numbers of jobs differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    What the processes have found out together.

    Attributes:
        subject: RUNS, MEMORY, or what jobs run.
        fields: as they are stored; times are those of the server, in Unix seconds.
        moment: when it was read.
    """

    subject: str
    fields: Mapping[str, Any]
    moment: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """
    What an attempt uses of the limits, and the limits that all processes share.

    Attributes:
        target: what it runs.
        reserve_usd: what it may cost; 0 without a budget.
        failures: how many jobs may fail; None for any number.
        sample: how many jobs must be over before a share of them counts.
    """

    memory_mbytes: int
    pools: tuple[str, ...]
    reserve_usd: Decimal
    max_runs: int
    max_memory_mbytes: int | None
    max_cost_usd: Decimal | None
    pool_limits: Mapping[str, PoolLimits] = field(default_factory=dict)
    target: str | None = None
    failures: FailureLimit | None = None
    sample: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """
    Why an attempt was not intended; the ledger has not changed.

    Attributes:
        limit: that is used up by all processes together; None when the job is another process's.
            It may also be HALT, FAILURES or TARGET, or begin with ROOM.
        reason: for people.
        finding: with TARGET and ROOM, what the processes have found out together.
        counts: with FAILURES, how many jobs have failed, and how many are over.
    """

    limit: str | None
    reason: str = ""
    finding: Finding | None = None
    counts: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The attempt that a claim is for; see `AttemptFacts.record_intent`."""

    seq: int
    number: int
    intent_at: datetime
    platform_at: datetime | None
    reserved_usd: Decimal | None
    caps_itself: bool


def claim_values(wanted: Wanted, share: Share, *, stem: str, word: str) -> dict[str, Any]:
    """
    One of the rows that the function `claim_jobs` takes, whose share is sent as a number.

    Args:
        stem, word: the mark without the number of its send.
    """
    return {
        "seq": wanted.seq,
        "number": wanted.number,
        "mark": stem,
        "word": word,
        "intent_at": stored(wanted.intent_at),
        "platform_at": stored(wanted.platform_at),
        "reserved_usd": None if wanted.reserved_usd is None else str(wanted.reserved_usd),
        "caps_itself": int(wanted.caps_itself),
        "share": share_values(share),
    }


def share_values(share: Share) -> dict[str, Any]:
    """What a row of `claim_values` has of its share; equal for all jobs that use the same."""
    limits = {name: share.pool_limits[name] for name in share.pools}
    return {
        "target": share.target,
        "mbytes": share.memory_mbytes,
        "pools": share.pools or None,
        "max_runs": share.max_runs,
        "max_mbytes": share.max_memory_mbytes,
        "max_usd": None if share.max_cost_usd is None else str(share.max_cost_usd),
        "max_failed": share.failures.count if share.failures else None,
        "failed_share": _multipliable(share.failures.share) if share.failures else None,
        "sample": share.sample,
        "pool_runs": {name: limit.max_runs for name, limit in limits.items()},
        "pool_starts": {name: limit.starts_per_minute for name, limit in limits.items()},
    }


def _multipliable(failed_share: float | None) -> float | None:
    """A share that the server may multiply by a number of jobs: 0.07 * 100 is more than 7."""
    return None if failed_share is None else failed_share * (1 - ROUNDING)


def claimed_of(row: Row, wanted: Wanted, share: Share) -> Attempt | Refused:
    """What an answer of the function `claim_jobs` means."""
    limit, detail = row["kept_by"], row["detail"]
    if limit is not None:
        return _refused(limit, detail, share)
    if row["job_definition"] is None:
        return Refused(limit=None)
    remedy = remedy_of(row["job_remedy"])
    return Attempt(
        job=sent_job(job_of(row["job_definition"]), remedy),
        number=wanted.number,
        send=row["next_send"],
        mark=Mark(row["next_mark"]),
        state=AttemptState.INTENT,
        intent_at=wanted.intent_at,
        platform_at=wanted.platform_at,
        reserved_usd=wanted.reserved_usd,
        caps_itself=wanted.caps_itself,
        remedy=remedy,
    )


def _refused(limit: str, detail: str, share: Share) -> Refused:
    if limit == FAILURES:
        failed, settled = json.loads(detail)
        return Refused(limit=limit, counts=(failed, settled))
    if limit == TARGET or limit.startswith(ROOM):
        subject = limit.removeprefix(ROOM) if limit != TARGET else share.target or ""
        fields = json.loads(detail)
        found = Finding(subject=subject, moment=fields.pop("now"), fields=fields)
        return Refused(limit=limit, finding=found)
    most = {
        RUNS: f"{share.max_runs} runs",
        MEMORY: f"{share.max_memory_mbytes} MB",
        MONEY: f"{share.max_cost_usd} USD",
    }.get(limit)
    return Refused(
        limit=limit, reason=f"{limit}: {detail}" if most is None else f"{detail} of {most}"
    )
