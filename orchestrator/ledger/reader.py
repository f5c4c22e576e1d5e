"""Reads a ledger beside the process that writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from orchestrator.ledger import stores
from orchestrator.ledger.changed_ledger import reads_ledger
from orchestrator.ledger.definitions import demand_from, job_of
from orchestrator.ledger.job_lists import listed_job, listed_jobs
from orchestrator.ledger.records import (
    BatchSnapshot,
    Failure,
    JobReport,
    ListedJob,
    Place,
    PoolStart,
    RunCost,
    SharedDataset,
    Taking,
    WaitingJob,
)
from orchestrator.ledger.rows import (
    batch_of,
    cost_of,
    failure_of,
    mark_of,
    report_of,
    row_of_batch,
    run_object_of,
    waiting_of,
)
from orchestrator.ledger.statistics import Totals, has_provisional_cost, jobs_by_status, totals_of
from orchestrator.ledger.store import Rows, slices
from orchestrator.ledger.stored_values import (
    datasets_from,
    instant,
    progress_of,
    remedy_of,
    stored,
    waits_of,
)
from orchestrator.model.batches import Batch
from orchestrator.model.ids import JobKey, Mark, RunId
from orchestrator.model.item_sweeps import Expansion, Sources
from orchestrator.model.jobs import Demand, Job, Target
from orchestrator.model.progress import LiveRun, Progress, Wait
from orchestrator.model.states import JobStatus

ALL = range(2**62)
"""Every place in a spec."""


class LedgerReader:
    """
    A read-only view, as a context manager.

    Each call sees the ledger as it is then, and the calls within `at_one_instant` see one state.
    But while a stream is read, every call sees the state of its beginning: one that is read across
    an `await`, or in another thread, needs a reader of its own.

    Args:
        checks: whether the file is searched for damage; needless if this process has it open.

    Raises:
        LedgerCorrupt, LedgerVersionMismatch, OutputNotWritable, OutputLost: on opening, and on
            leaving when one of the calls found that the file cannot be read.
    """

    def __init__(self, path: Path, *, checks: bool = True) -> None:
        connect = stores.connect_read_only if checks else stores.connect_briefly
        self._db = connect(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()
        # The caller reads streams, so the error may come from any line of its block.
        if isinstance(error, self._db.database_errors):
            with self.translated():
                raise error

    @contextmanager
    def translated(self) -> Iterator[None]:
        """
        For calls whose errors must be translated before the reader is closed.

        Raises:
            LedgerCorrupt, OutputNotWritable, OutputLost: the file cannot be read.
        """
        with self._db.translated():
            yield

    @contextmanager
    def at_one_instant(self) -> Iterator[None]:
        """All calls within see the same state, without what is committed meanwhile."""
        with self._db.at_one_instant():
            yield

    def snapshot(self) -> BatchSnapshot:
        """The batch at one instant."""
        with self.at_one_instant():
            return BatchSnapshot(
                batch=self.batch(),
                has_work=self.has_work(),
                has_open_attempts=self.has_open_attempts(),
                demands=self.demands(),
            )

    def batch(self) -> Batch:
        """The batch."""
        return batch_of(self._execute("select_batch").fetchone())

    def totals(self) -> Totals:
        """The batch in numbers."""
        return totals_of(self._db)

    @reads_ledger
    def jobs_by_status(self) -> dict[JobStatus, int]:
        """How many jobs have each status, as in `Totals`."""
        return jobs_by_status(self._db)

    def cost_is_provisional(self) -> bool:
        """
        Whether the platform may report another cost later.

        It may, of live runs, and of runs whose cost was not read `costs_settle_secs` after their
        end.
        """
        return has_provisional_cost(self._db)

    def has_open_attempts(self) -> bool:
        """Whether attempts are in flight, or were when their process ended."""
        return bool(self._execute("has_open").fetchone()["has_some"])

    def has_work(self) -> bool:
        """Whether a job is not settled, or its items have to become jobs."""
        has_unsettled = bool(self._execute("has_unsettled").fetchone()["has_some"])
        return has_unsettled or bool(self.unexpanded())

    def lacks_rows(self) -> bool:
        """Whether items that are wanted as rows have given no jobs."""
        if not self.batch().plan.sweeps:
            return False
        return any(one.left_out for one in self.expansions()) or bool(self.unexpanded())

    def unexpanded(self) -> list[tuple[int, JobKey]]:
        """The jobs that have succeeded and whose items are still to become jobs."""
        sweeps = self.batch().plan.sweeps
        if not sweeps:
            return []
        succeeded = [
            (seq, key)
            for seq, key, status in self.statuses()
            if status is JobStatus.SUCCEEDED and any(sweep.wants(key) for sweep in sweeps)
        ]
        # Read after the jobs: so what has made these is known, also if others write meanwhile.
        sources = Sources(sweeps, self.expansions())
        return [(seq, key) for seq, key in succeeded if sources.waiting(seq, key)]

    @reads_ledger
    def later_resumes(self) -> frozenset[datetime]:
        """The later occurrences at which a call has resumed this batch."""
        rows = self._execute("select_later_resumes")
        return frozenset(datetime.fromisoformat(row["occurrence"]) for row in rows)

    def demands(self) -> dict[Demand, JobKey]:
        """
        What the waiting jobs ask of the limits, each with one job that asks it.

        What jobs will ask that are still to be made of items is among it, with their name.
        """
        later = {sweep.demand: JobKey(sweep.name) for sweep in self.batch().plan.sweeps}
        examples: dict[str, JobKey] = {}
        for first, end in slices(self._db):
            for row in self._execute("select_demands", first=first, end=end):
                examples.setdefault(row["demand"], JobKey(row["example"]))
        return later | {demand_from(demand): key for demand, key in sorted(examples.items())}

    def waiting(self, places: range = ALL) -> Iterator[WaitingJob]:
        """
        The jobs that wait for an attempt and have none in flight, in the order of the spec.

        They come as a stream.

        Args:
            places: in the spec, of the jobs to look at.
        """
        rows = self._execute("select_waiting", first_seq=places.start, end_seq=places.stop)
        return map(waiting_of, rows)

    @reads_ledger
    def expansions(self) -> list[Expansion]:
        """Which sweeps have made jobs of the items of which jobs."""
        return [Expansion(**row) for row in self._execute("select_expansions")]

    @reads_ledger
    def given_up(self) -> dict[Mark, datetime]:
        """The marks of all sends that were given up, and from when on their runs are listed."""
        batch_mark = self.batch().mark
        return {
            mark_of(row, batch_mark): datetime.fromisoformat(row["since"])
            for row in self._execute("select_given_up")
        }

    def run_targets(self) -> Iterator[tuple[RunId, Target]]:
        """All runs of the batch's attempts, and what they run, as a stream."""
        for row in self._execute("select_run_targets"):
            yield RunId(row["run_id"]), demand_from(row["demand"]).target

    def runs(self) -> Iterator[RunId]:
        """All runs that the batch has paid for, orphan runs among them, as a stream."""
        return (RunId(row["run_id"]) for row in self._execute("select_all_runs"))

    def run_costs(self) -> Iterator[RunCost]:
        """
        What the attempts that are over have cost, and orphan runs.

        A resurrected run is listed once for each of its attempts, in their order.
        """
        for row in self._execute("select_run_costs"):
            yield cost_of(row, demand_from(row["demand"]))
        for row in self._execute("select_orphan_costs"):
            yield cost_of(row, None)

    def waiting_keys(self) -> Iterator[tuple[str, int]]:
        """The keys in lower case of jobs that are not settled, with their places, as a stream."""
        # An earlier batch may write a key with other capitals; keys are compared without case.
        return ((row["key"].lower(), row["seq"]) for row in self._execute("select_waiting_keys"))

    def rendered_late(self, *, with_settled: bool = False) -> Iterator[Job]:
        """The jobs whose inputs are rendered when they start, as a stream."""
        rows = self._execute("select_rendered_late", with_settled=with_settled)
        return (job_of(row["definition"]) for row in rows)

    @reads_ledger
    def needing(self) -> dict[int, tuple[str, ...]]:
        """The jobs that each waiting job needs, if any, by its place in the spec."""
        rows = self._execute("select_needing")
        return {row["seq"]: tuple(json.loads(row["needs"])) for row in rows}

    def statuses(self, places: range = ALL) -> Iterator[tuple[int, JobKey, JobStatus]]:
        """Place in the spec, key and status of jobs, in the order of the spec."""
        rows = self._execute("select_statuses", first_seq=places.start, end_seq=places.stop)
        for row in rows:
            yield row["seq"], JobKey(row["key"]), JobStatus(row["status"])

    def dropping_keys(self) -> dict[str, int]:
        """The places in the spec of jobs with a `max_drop`, by their keys in lower case."""
        return {row["key"].lower(): row["seq"] for row in self._execute("select_dropping_keys")}

    def items_made(self) -> Iterator[tuple[JobKey, int]]:
        """How many items jobs have made that succeeded, by their keys, as a stream."""
        for row in self._execute("select_items_made"):
            yield JobKey(row["key"]), row["items"]

    def takings(self) -> Iterator[Taking]:
        """What each settled job with a run took, in the order of the spec, as a stream."""
        for row in self._execute("select_takings"):
            demand = demand_from(row["demand"])
            yield Taking(row["seq"], JobKey(row["key"]), demand, row["secs"], row["cost_usd"])

    def report(self, key: str) -> JobReport | None:
        """The state of one job; None when no job has this key."""
        row = self._execute("select_report", key=key).fetchone()
        return None if row is None else report_of(row)

    @reads_ledger
    def shared_datasets(self) -> dict[str, SharedDataset]:
        """The datasets that runs share, by their names, each with the first job that wants it."""
        found: dict[str, SharedDataset] = {}
        for row in self._execute("select_datasets"):
            datasets = datasets_from(row["datasets"])
            for other in datasets:
                if other.is_shared and other.name not in found:
                    found[other.name] = SharedDataset(
                        seq=row["job_seq"],
                        number=row["number"],
                        query=job_of(row["definition"]).collect.query,
                        datasets=datasets,
                    )
        return found

    def run_object(self, seq: int, number: int) -> bytes | None:
        """The run of an attempt as the platform sent it; None where the ledger does not keep it."""
        row = self._execute("select_run_object", seq=seq, number=number).fetchone()
        return None if row is None else run_object_of(row)

    @reads_ledger
    def place(self, key: JobKey) -> Place:
        """The place of a waiting job in the queue."""
        row = self._execute("select_place", key=key).fetchone()
        return Place(ahead=row["ahead"], ready_at=row["ready_at"], remedy=remedy_of(row["remedy"]))

    def reusing(self, places: range = ALL) -> set[int]:
        """The places in the spec of jobs that have not begun and may take earlier results."""
        rows = self._execute("select_reusing", first_seq=places.start, end_seq=places.stop)
        return {row["seq"] for row in rows}

    def last_seq(self) -> int:
        """The place of the last job in the spec; -1 when there is none."""
        return int(self._execute("select_last_seq").fetchone()["seq"])

    def keys(self) -> list[JobKey]:
        """The keys of all jobs, in the order of the spec."""
        return [JobKey(row["key"]) for row in self._execute("select_keys")]

    def waits(self) -> list[Wait]:
        """Why jobs wait, as the process that drives the batch last recorded."""
        return waits_of(row_of_batch(self._execute("select_waits").fetchone())["waits"])

    def progress(self) -> Progress | None:
        """The figures that the process of a live batch last recorded; None when it did not."""
        return progress_of(row_of_batch(self._execute("select_progress").fetchone())["progress"])

    def is_shared(self) -> bool:
        """Whether several processes share the batch, and each records its own figures."""
        return bool(row_of_batch(self._execute("select_sharing").fetchone())["is_shared"])

    @reads_ledger
    def oldest_runs(self, most: int) -> list[LiveRun]:
        """Some of the runs in progress of all processes, the oldest first."""
        return [
            LiveRun(
                key=JobKey(row["key"]),
                run_id=RunId(row["run_id"]),
                target=demand_from(row["demand"]).target.id,
                since=datetime.fromisoformat(row["started_at"]),
                is_straggler=bool(row["straggles"]),
            )
            for row in self._execute("select_oldest_runs", most=most)
        ]

    def live_runs(self) -> list[RunId]:
        """The runs that were in progress when the platform was last asked."""
        return [RunId(row["run_id"]) for row in self._execute("select_live_runs")]

    def reports(self, places: range = ALL) -> Iterator[JobReport]:
        """The state of each job, in the order of the spec, as a stream."""
        rows = self._execute("select_reports", first_seq=places.start, end_seq=places.stop)
        return map(report_of, rows)

    def extent(self) -> tuple[int, ...]:
        """Figures that change whenever a process begins or ends an attempt, or settles a job."""
        return tuple(self._execute("select_extent").fetchone())

    def failed_jobs(self) -> Iterator[Failure]:
        """The jobs that did not succeed, in the order of the spec, as a stream."""
        return map(failure_of, self._execute("select_failed"))

    def failure(self, key: JobKey) -> Failure | None:
        """One job that did not succeed; None when no such job has this key."""
        return next(map(failure_of, self._execute("select_failure", key=key)), None)

    def listed(self) -> Iterator[ListedJob]:
        """All jobs with all their attempts, in the order of the spec, as a stream."""
        return listed_jobs(self._db)

    def listed_one(self, key: str) -> ListedJob | None:
        """One job with all its attempts; None when no job has this key."""
        return listed_job(self._db, key)

    def pool_starts(self, since: datetime) -> Iterator[PoolStart]:
        """
        The starts of jobs in pools that were intended after an instant of the platform's clock.

        Those of which its time is not known are among them.
        """
        for row in self._execute("select_pool_starts", since=stored(since)):
            yield PoolStart(
                pools=demand_from(row["demand"]).pools,
                intent_at=datetime.fromisoformat(row["intent_at"]),
                platform_at=instant(row["platform_at"]),
            )

    @reads_ledger
    def began_at(self) -> datetime | None:
        """When the first start was intended, by the platform's clock; None when not known."""
        return instant(self._execute("began_at").fetchone()["began_at"])

    def has_run(self, run_id: RunId) -> bool:
        """Whether an attempt of this batch has a run."""
        return self._execute("select_run", run_id=run_id).fetchone() is not None

    def _execute(self, query: str, **values: Any) -> Rows:
        return self._db.query(query, **values)
