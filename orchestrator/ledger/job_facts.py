"""What happens to jobs outside an attempt: skipped, refused, reused, collected again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from orchestrator.ledger.records import JobReport
from orchestrator.ledger.rows import collected_values, run_values
from orchestrator.ledger.stored_values import datasets_text, stored
from orchestrator.ledger.transactions import Transactions, transaction
from orchestrator.model.attempts import Collected, OtherDataset, Outcome
from orchestrator.model.ids import BatchId
from orchestrator.model.runs import Run


class JobFacts(Transactions):
    """Facts of jobs."""

    @transaction
    def skip(self, seq: int, reason: str, needed: int | None = None) -> str:
        """
        Settles a job that waits, without an attempt; returns why, in words.

        Args:
            reason: with a `needed` job, `{job}` in it stands for the key of that job.
        """
        if needed is not None:
            reason = reason.format(job=self._execute("select_key", seq=needed).fetchone()["key"])
        self._execute("skip_waiting", seq=seq, error=reason, owner=self._owner)
        return reason

    @transaction
    def refuse(self, seqs: Sequence[int], reason: str) -> list[str]:
        """Settles jobs that wait as failed, without an attempt; returns their keys."""
        values = {"error": reason, "owner": self._owner}
        # In one order: other processes refuse the same jobs at the same time.
        rows = (
            self._execute("refuse_waiting", seq=seq, **values).fetchone() for seq in sorted(seqs)
        )
        return [row["key"] for row in rows if row is not None]

    @transaction
    def reuse(self, seq: int, report: JobReport, batch: BatchId, now: datetime) -> bool:
        """
        Settles a job with what an earlier batch has collected, whose files are in place.

        Returns:
            False when this ledger has that run already: then nothing is written.
        """
        cursor = self._execute(
            "insert_reused",
            seq=seq,
            owner=self._owner,
            intent_at=stored(now),
            run_id=report.run_id,
            dataset_id=report.dataset_id,
            store_id=report.store_id,
            run_status=report.run_status,
            started_at=stored(report.started_at),
            finished_at=stored(report.finished_at),
            build_number=report.build_number,
            reused_from=batch,
            **collected_values(report),
        )
        # The unique index leaves out a run that another job has.
        if cursor.rowcount != 1:
            return False
        self._execute(
            "settle_job", seq=seq, status=report.status, ready_at=0, remedy=None, error=None
        )
        return True

    @transaction
    def mark_collected_again(
        self, seq: int, number: int, run: Run, outcome: Outcome, collected: Collected
    ) -> None:
        """Records what was downloaded later of a settled attempt, and judges its job by it."""
        self._execute(
            "collect_again",
            seq=seq,
            number=number,
            dataset_id=run.dataset_id,
            store_id=run.store_id,
            error=outcome.error,
            outcome=outcome.status,
            **collected_values(collected),
        )
        self._execute("judge_job", seq=seq, status=outcome.status, error=outcome.error)

    @transaction
    def mark_found_again(self, seq: int, number: int, run: Run) -> bool:
        """
        Records what is known again of the run of a lost attempt.

        A run that has ended may be collected. The attempt of a live run is open again, for the next
        process that drives the batch.

        Returns:
            whether the run has ended.
        """
        values = run_values(run)
        place = {"seq": seq, "number": number, "run_status": run.status}
        if run.is_terminal:
            names = ("status_message", "exit_code", "finished_at")
            self._execute("find_again", **place, **{name: values[name] for name in names})
        elif self._execute("reopen_attempt", **place).rowcount:
            self._execute("reopen_job", seq=seq)
        return run.is_terminal

    @transaction
    def set_datasets(self, seq: int, number: int, datasets: tuple[OtherDataset, ...]) -> None:
        """Replaces what is recorded of the other datasets of an attempt."""
        self._execute("set_datasets", seq=seq, number=number, datasets=datasets_text(datasets))

    @transaction
    def keep_log_end(self, seq: int, number: int, text: str) -> None:
        """Keeps the end of the log of an attempt, without secrets."""
        self._execute("insert_log_end", seq=seq, number=number, text=text)
