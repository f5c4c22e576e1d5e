"""The durable record of a batch: what was intended and what happened, in one SQLite file."""

from orchestrator.ledger.lock import BatchLock
from orchestrator.ledger.reader import LedgerReader
from orchestrator.ledger.records import JobReport, WaitingJob
from orchestrator.ledger.writer import Ledger, create_ledger, open_ledger

__all__ = [
    "BatchLock",
    "JobReport",
    "Ledger",
    "LedgerReader",
    "WaitingJob",
    "create_ledger",
    "open_ledger",
]
