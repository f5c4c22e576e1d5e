"""What we know of a run on the platform."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from orchestrator.model.ids import DatasetId, RunId, StoreId
from orchestrator.model.states import RUN_STATUSES, TERMINAL_RUN_STATUSES


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """
    The facts of a run that decisions are made by.

    Attributes:
        status: the platform's word; see `RunStatus` for those known today.
        status_message: the Actor's or the platform's own words, untrusted text.
        exit_code: of the Actor's process; None before the end or when there was none.
        started_at: aware UTC.
        finished_at: aware UTC; None while the run goes on.
        memory_mbytes, timeout_secs: that it was started with; a timeout of 0 is none.
        cost_usd: provisional until the platform has settled it; None when hidden.
        user_agent: what the client that started the run called itself; holds the attempt's mark.
        resurrect_count: how often the run was brought back; None where the answer leaves it out.
    """

    id: RunId
    status: str
    status_message: str | None = None
    exit_code: int | None = None
    started_at: datetime
    finished_at: datetime | None = None
    dataset_id: DatasetId
    store_id: StoreId
    memory_mbytes: int | None = None
    timeout_secs: int | None = None
    cost_usd: Decimal | None = None
    user_agent: str | None = None
    build_number: str | None = None
    resurrect_count: int | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended; an unknown status counts as an end once it has an end time."""
        if self.status in RUN_STATUSES:
            return self.status in TERMINAL_RUN_STATUSES
        return self.finished_at is not None
