"""Batches that have ended, written into ledgers without a platform: of any size, quickly."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from orchestrator.ledger import create_ledger
from orchestrator.model.batches import Batch, BatchPlan
from orchestrator.model.ids import BatchId, BatchName, JobKey
from orchestrator.model.jobs import CollectPlan, Job, JobInput, Target, TargetKind

MIDNIGHT = datetime(2026, 11, 25, 1, 0, tzinfo=UTC)
SLOTS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """
    A job of a batch and how it ended.

    Attributes:
        runs: a mapping of columns of the ledger for each of its attempts, the last one at the end.
    """

    key: str
    actor: str = "apify/web-scraper"
    params: Mapping[str, Any] | None = None
    status: str = "SUCCEEDED"
    error: str | None = None
    runs: Sequence[Mapping[str, Any]] = ({},)


def write_batch(
    output: Path,
    jobs: Iterable[Made],
    *,
    number: int = 1,
    name: str = "nightly",
    slower: float = 1.0,
    **columns: Any,
) -> Path:
    """
    Writes the ledger of a batch whose runs took turns in 24 slots; returns its folder.

    Args:
        number: of the batch; each begins a day after the one before.
        slower: how many times longer its runs took.
        columns: further columns of the batch.
    """
    began_at = MIDNIGHT + timedelta(days=number - 1)
    batch = Batch(
        id=BatchId(f"{began_at:%Y%m%dT%H%M%SZ}-{number:07x}"),
        name=BatchName(name),
        mark=f"mark{number}",
        created_at=began_at,
        occurrence=began_at,
        platform="https://api.apify.com",
        account="account",
        plan=BatchPlan(
            spec_path="/jobs/nightly.toml",
            spec_sha256="0" * 64,
            max_runs=32,
            max_memory_mbytes=65536,
            timezone="Europe/Prague",
        ),
    )
    folder = output / name / batch.id
    folder.mkdir(parents=True)
    made = list(jobs)
    create_ledger(folder / "ledger.sqlite", batch, (_job(seq, one) for seq, one in enumerate(made)))
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as db, db:
        end = _write_attempts(db, made, began_at, slower)
        db.executemany(
            "UPDATE jobs SET status = ?, error = ?, attempts = ? WHERE seq = ?",
            [(one.status, one.error, len(one.runs), seq) for seq, one in enumerate(made)],
        )
        failed = any(one.status != "SUCCEEDED" for one in made)
        values = {
            "number": number,
            "state": "ended",
            "ended_at": _text(end + timedelta(seconds=20)),
            "completed_at": _text(end + timedelta(seconds=21)),
            "exit_code": int(failed),
            "requests": 3 * len(made),
            **columns,
        }
        db.execute("UPDATE calls SET seen_at = ?", [_text(end + timedelta(seconds=20))])
        names = ", ".join(f"{column} = :{column}" for column in values)
        db.execute(f"UPDATE batch SET {names}", values)  # noqa: S608 - names of the tests
    return folder


def _job(seq: int, made: Made) -> Job:
    return Job(
        seq=seq,
        key=JobKey(made.key),
        target=Target(kind=TargetKind.ACTOR, id=made.actor),
        params=dict(made.params or {}),
        input=JobInput(body=b"{}", sha256="0" * 64, size_bytes=2),
        collect=replace(CollectPlan(), log=True),
    )


def _write_attempts(
    db: sqlite3.Connection, made: Sequence[Made], began_at: datetime, slower: float
) -> datetime:
    """Writes the attempts of all jobs, one after the other in each slot; returns the last end."""
    free_at = [began_at + timedelta(seconds=2 + slot) for slot in range(SLOTS)]
    for seq, one in enumerate(made):
        for number, given in enumerate(one.runs, start=1):
            slot = min(range(SLOTS), key=free_at.__getitem__)
            secs = slower * given.get("secs", 40 + 53 * ((seq * 7919) % 101) / 20)
            end = free_at[slot] + timedelta(seconds=secs)
            is_last = number == len(one.runs)
            status = one.status if is_last else "FAILED"
            values = {
                "job_seq": seq,
                "number": number,
                "state": "settled",
                "owner": "o",
                "intent_at": _text(free_at[slot]),
                "run_id": f"run{seq}n{number}",
                "dataset_id": f"dataset{seq}n{number}",
                "store_id": f"store{seq}n{number}",
                "run_status": "SUCCEEDED" if status == "REJECTED" else status,
                "outcome": status,
                "started_at": _text(free_at[slot]),
                "finished_at": _text(end),
                "memory_mbytes": 1024 << (seq % 3),
                "cost_usd": f"{secs * 0.0001:.6f}",
                "cost_at": _text(end + timedelta(hours=1)),
                "exit_code": 0 if status in {"SUCCEEDED", "REJECTED"} else 1,
                "items": 100 + (seq * 31) % 900,
                "size_bytes": 40_000,
                "sha256": "0" * 64,
                "proof": "download 10 100" if is_last else None,
                "error": one.error if is_last else "FAILED, exit code 1",
                **{column: value for column, value in given.items() if column != "secs"},
            }
            names, marks = ", ".join(values), ", ".join("?" * len(values))
            sql = f"INSERT INTO attempts ({names}) VALUES ({marks})"  # noqa: S608 - as above
            db.execute(sql, list(values.values()))
            free_at[slot] = end + timedelta(seconds=1)
    return max(free_at)


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


ACTORS = ("apify/web-scraper", "apify/cheerio-scraper", "me/price-check")
COUNTRIES = ("cz", "de", "fr", "pl", "us")
CAUSES = (
    ("FAILED", "FAILED with exit code 1: Navigation timed out after 60000 ms"),
    ("TIMED-OUT", "TIMED-OUT: the run took longer than its timeout of 3,600 s"),
    ("REJECTED", "12 items, expected at least 50"),
)


def many_jobs(count: int, *, failing_every: int = 40, fewer: float = 1.0) -> Iterable[Made]:
    """
    Jobs of three Actors in five countries; some fail, and a few need a second attempt.

    Args:
        fewer: the share of their usual items that the jobs of one country make.
    """
    for seq in range(count):
        country = COUNTRIES[seq % 5]
        status, error = "SUCCEEDED", None
        if seq % failing_every == failing_every - 1:
            status, error = CAUSES[(seq // failing_every) % 3]
        items = int((100 + (seq * 31) % 900) * (fewer if country == "de" else 1))
        runs: list[dict[str, Any]] = [{"items": items, "straggles": int(seq % 611 == 610)}]
        if seq % 25 == 24:
            runs.insert(0, {"secs": 12, "items": None, "sha256": None})
        if error is not None and status != "REJECTED":
            error = f"run run{seq}n{len(runs)} {error}"
        yield Made(
            key=f"search-{country}-{seq:05d}",
            actor=ACTORS[seq % 3],
            params={"country": country, "query": f"garden chair {seq // 5}", "page": seq % 4 + 1},
            status=status,
            error=error,
            runs=runs,
        )
