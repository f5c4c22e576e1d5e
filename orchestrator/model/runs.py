"""A run on the platform."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from orchestrator.model.ids import DatasetId, RunId, StoreId
from orchestrator.model.states import RUN_STATUSES, TERMINAL_RUN_STATUSES


class Run(NamedTuple):
    """
    The facts of a run that decisions use.

    A tuple, because each answer makes one: a frozen dataclass sets its fields one by one.

    Attributes:
        status: the platform's word; `RunStatus` lists the known ones.
        status_message: text of the Actor or the platform, untrusted.
        exit_code: of the Actor's process; None before the end or when there was none.
        started_at: aware UTC.
        finished_at: aware UTC; None while the run is in progress.
        memory_mbytes, timeout_secs: that it was started with; a timeout of 0 means none.
        cost_usd: provisional until the platform has its final figure; None when hidden.
        user_agent: of the client that started the run; it holds the mark of the attempt.
        resurrect_count: how often the run was resurrected; None if the answer does not show it.
    """

    id: RunId
    status: str
    started_at: datetime
    dataset_id: DatasetId
    store_id: StoreId
    finished_at: datetime | None = None
    status_message: str | None = None
    exit_code: int | None = None
    memory_mbytes: int | None = None
    timeout_secs: int | None = None
    cost_usd: Decimal | None = None
    user_agent: str | None = None
    build_number: str | None = None
    resurrect_count: int | None = None

    def with_storages_of(self, other: Run) -> Run:
        """This run with those of its storages that only another answer about it names."""
        if self.dataset_id and self.store_id:
            return self
        return self._replace(
            dataset_id=self.dataset_id or other.dataset_id, store_id=self.store_id or other.store_id
        )

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended; one with an unknown status has ended if it has an end time."""
        # The platform may get a new status; a run that has one must not be followed for ever.
        if self.status in RUN_STATUSES:
            return self.status in TERMINAL_RUN_STATUSES
        return self.finished_at is not None
