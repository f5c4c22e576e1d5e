"""Jobs that are made of the items of other jobs, each source once for each sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import orjson

from orchestrator.errors import TooManyJobs
from orchestrator.ledger.definitions import job_values
from orchestrator.ledger.store import Store
from orchestrator.ledger.transactions import Transactions, transaction
from orchestrator.model.item_sweeps import Expansion
from orchestrator.model.jobs import Job

TakeNew = Callable[[Sequence[int]], Iterable[int]]
"""Records the digests of rows; returns those that were not recorded before, each once."""

Place = Callable[[], int]
"""The place in the batch of the next job that is made."""

MakeJobs = Callable[[TakeNew, Place], Iterable[Job | str]]
"""Makes the jobs of a source, or says why a row gives none."""

AT_ONCE = 500
"""How many jobs, or digests of rows, are written by one statement."""


class _NewJobs:
    """
    Writes new jobs in groups.

    Args:
        first: the place of the first one.
        at_once: how many are a group.

    Attributes:
        end: the place of the next one, if all of the group can be written.
        left_out: how many rows gave no job.
        problem: why the first of those gave none.
    """

    def __init__(self, db: Store, first: int, at_once: int) -> None:
        self._db = db
        self._at_once = at_once
        self._group: list[Job] = []
        self.end = first
        self.left_out = 0
        self.problem: str | None = None

    def add(self, made: Job | str) -> None:
        """Adds a job, or counts a row that gives none."""
        if isinstance(made, str):
            self.left_out += 1
            self.problem = self.problem or made
            return
        self._group.append(made)
        self.end += 1
        if len(self._group) >= self._at_once:
            self.write()

    def write(self) -> None:
        """Writes the group; one by one if some job has the key of another one."""
        jobs, self._group = self._group, []
        if not jobs:
            return
        self._db.query("begin_group")
        if self._db.query_many("insert_added_job", map(job_values, jobs)) != len(jobs):
            self._db.query("undo_group")
            self.end = jobs[0].seq
            for job in jobs:
                self._write_one(replace(job, seq=self.end))
        self._db.query("end_group")

    def _write_one(self, job: Job) -> None:
        if self._db.query("insert_added_job", **job_values(job)).rowcount:
            self.end += 1
            return
        self.add(
            f"another job has the key {job.key!r} (case does not count); name more fields in the "
            "key, or set distinct = true if equal rows are one"
        )


class ExpansionFacts(Transactions):
    """Facts of sweeps whose rows are the items of other jobs."""

    @transaction
    def expand(
        self,
        sweep: str,
        source: int,
        make: MakeJobs,
        *,
        most_jobs: int,
        limit: int | None = None,
        holds: bool = False,
    ) -> Expansion | None:
        """
        Writes the jobs that a sweep makes of the items of one job, all of them or none.

        Args:
            make: called in the thread of the worker, and again if the transaction is repeated.
            most_jobs: how many jobs the batch may have.
            limit: how many jobs of the batch are wanted; None for all.
            holds: whether no other process may start them until `free_added`; only for ledgers
                in PostgreSQL.

        Returns:
            what was written; None when the sweep has taken the items before.

        Raises:
            TooManyJobs: the batch would have more than `most_jobs`; nothing is written.
            What `make` raises; nothing is written.
        """
        # Places follow one another, so that two processes must not add jobs at the same time.
        self._execute("begin_expansion")
        if self._execute("select_expansion", sweep=sweep, source=source).fetchone():
            return None
        first = self._execute("select_last_seq").fetchone()["seq"] + 1
        before = self._execute("select_job_count").fetchone()["jobs"]
        # With a limit, each one counts.
        new = _NewJobs(self._db, first, AT_ONCE if limit is None else 1)
        for made in make(self._take_new, lambda: new.end):
            if limit is not None and before + new.end - first >= limit:
                break
            new.add(made)
            if before + new.end - first > most_jobs:
                new.write()
            if before + new.end - first > most_jobs:
                raise TooManyJobs(
                    f"the items of job {source + 1} of the spec would bring the batch to more than "
                    f"{most_jobs:,} jobs (max_jobs)"
                )
        new.write()
        expansion = Expansion(
            sweep=sweep,
            source=source,
            first_seq=first,
            jobs=new.end - first,
            left_out=new.left_out,
            problem=new.problem,
        )
        self._execute(
            "insert_expansion",
            sweep=sweep,
            source=source,
            first_seq=first,
            jobs=expansion.jobs,
            left_out=new.left_out,
            problem=new.problem,
        )
        if holds:
            self._execute("hold_added", owner=self._owner, first_seq=first, end_seq=new.end)
        return expansion

    @transaction
    def free_added(self, expansion: Expansion) -> None:
        """Lets other processes start the jobs of an expansion that this process has kept."""
        first, end = expansion.first_seq, expansion.first_seq + expansion.jobs
        self._execute("free_added", owner=self._owner, first_seq=first, end_seq=end)

    def _take_new(self, digests: Sequence[int]) -> list[int]:
        rows = self._execute("insert_distinct_rows", digests=orjson.dumps(digests).decode())
        return [row["digest"] for row in rows]
