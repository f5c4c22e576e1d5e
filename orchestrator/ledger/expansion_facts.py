"""Jobs that are made of the items of other jobs, each source once for each sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from orchestrator.errors import TooManyJobs
from orchestrator.ledger.definitions import job_values
from orchestrator.ledger.transactions import Transactions, transaction
from orchestrator.model.item_sweeps import Expansion
from orchestrator.model.jobs import Job

IsNew = Callable[[int], bool]
"""Records the digest of a row; returns whether no equal row was recorded before."""

Place = Callable[[], int]
"""The place in the batch of the next job that is made."""

MakeJobs = Callable[[IsNew, Place], Iterable[Job | str]]
"""Makes the jobs of a source, or says why a row gives none."""


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
            Whatever `make` raises; nothing is written.
        """
        # Places follow one another, so that two processes must not add jobs at the same time.
        self._execute("lock_expansions")
        if self._execute("select_expansion", sweep=sweep, source=source).fetchone():
            return None
        first = seq = self._execute("select_last_seq").fetchone()["seq"] + 1
        before = self._execute("select_job_count").fetchone()["jobs"]
        left_out, problem = 0, None
        # The place of each job is asked for when it is made.
        for made in make(self._is_new_row, lambda: seq):  # noqa: B023
            if limit is not None and before + seq - first >= limit:
                break
            if isinstance(made, str):
                why: str | None = made
            else:
                why = self._add(made)
                seq += why is None
            if why is not None:
                left_out, problem = left_out + 1, problem or why
            if before + seq - first > most_jobs:
                raise TooManyJobs(
                    f"the items of job {source + 1} of the spec would bring the batch to more than "
                    f"{most_jobs:,} jobs (max_jobs)"
                )
        expansion = Expansion(
            sweep=sweep,
            source=source,
            first_seq=first,
            jobs=seq - first,
            left_out=left_out,
            problem=problem,
        )
        self._execute(
            "insert_expansion",
            sweep=sweep,
            source=source,
            first_seq=first,
            jobs=expansion.jobs,
            left_out=left_out,
            problem=problem,
        )
        if holds:
            self._execute("hold_added", owner=self._owner, first_seq=first, end_seq=seq)
        return expansion

    @transaction
    def free_added(self, expansion: Expansion) -> None:
        """Lets other processes start the jobs of an expansion that this process has kept."""
        first, end = expansion.first_seq, expansion.first_seq + expansion.jobs
        self._execute("free_added", owner=self._owner, first_seq=first, end_seq=end)

    def _add(self, job: Job) -> str | None:
        """Writes a job; says why not if another job has its key."""
        if self._execute("insert_added_job", **job_values(job)).rowcount:
            return None
        return (
            f"another job has the key {job.key!r} (case does not count); name more fields in the "
            "key, or set distinct = true if equal rows are one"
        )

    def _is_new_row(self, digest: int) -> bool:
        return bool(self._execute("insert_distinct_row", digest=digest).rowcount)
