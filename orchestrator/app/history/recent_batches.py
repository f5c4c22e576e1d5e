"""The newest batches of each name under an output folder, read again only when they change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Lock

from orchestrator.app.batch_folders import LEDGER, batch_names, display
from orchestrator.app.history.trend import batch_figures
from orchestrator.errors import OrchestratorError
from orchestrator.ledger.known_batches import read_batch
from orchestrator.ledger.location import has_ledger
from orchestrator.ledger.lock import is_held
from orchestrator.ledger.stores import ledger_state
from orchestrator.report.page.comparison import BatchFigures

SHOWN = 20
"""Batches of each name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentBatch:
    """A batch with its folder, and whether a process runs it now."""

    folder: Path
    figures: BatchFigures
    is_held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NameHistory:
    """
    The newest batches of a name.

    Attributes:
        batches: the newest first; never empty unless there are problems.
        problems: a sentence for each folder that cannot be read.
    """

    name: str
    batches: list[RecentBatch]
    problems: list[str]


class RecentBatches:
    """
    Reads the newest batches; its methods block, and threads may share it.

    Their folders are ordered by id, and so by the time when they were made: numbers would have to
    be read from the ledgers of all batches, of which a name may have thousands.
    """

    def __init__(self, output: Path) -> None:
        self._output = output
        self._lock = Lock()
        self._known: dict[Path, tuple[tuple[int, ...], BatchFigures]] = {}

    def histories(self) -> list[NameHistory]:
        """The names: those with a live batch first, then by the newest batch."""
        with self._lock:
            found = list(self._read())
            shown = {one.folder for history in found for one in history.batches}
            # What was deleted, or is no longer among the newest, is forgotten.
            self._known = {path: known for path, known in self._known.items() if path in shown}
        return sorted(found, key=_urgency, reverse=True)

    def _read(self) -> Iterator[NameHistory]:
        for home in batch_names(self._output):
            history = NameHistory(name=home.name, batches=[], problems=[])
            try:
                paths = sorted(home.iterdir(), key=lambda path: path.name, reverse=True)
            except FileNotFoundError:
                # Removed since it was listed.
                continue
            # Only as many are looked at as are shown.
            for folder in islice(filter(_may_be_batch, paths), SHOWN):
                try:
                    history.batches.append(self._recent(folder))
                except (OrchestratorError, OSError, ValueError, LookupError) as error:
                    history.problems.append(f"{display(folder)} cannot be shown: {error}")
            if history.batches or history.problems:
                history.batches.sort(key=lambda one: one.figures.batch.number, reverse=True)
                yield history

    def _recent(self, folder: Path) -> RecentBatch:
        state = ledger_state(folder)
        known = self._known.get(folder)
        if known is None or known[0] != state:
            figures = batch_figures(folder, read_batch(folder / LEDGER))
            known = self._known[folder] = (state, figures)
        return RecentBatch(folder=folder, figures=known[1], is_held=is_held(folder))


def _may_be_batch(path: Path) -> bool:
    if path.name.startswith(".") or path.is_symlink():
        return False
    try:
        return has_ledger(path)
    except OSError:
        # The folder of another user, for example: reading it says why it cannot be shown.
        return True


def _urgency(history: NameHistory) -> tuple[bool, str]:
    return (
        any(one.is_held for one in history.batches),
        max((one.folder.name for one in history.batches), default=""),
    )
