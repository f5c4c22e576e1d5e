"""Reads the batches on disk, as values for `decide`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from orchestrator.app.batch_folders import LEDGER, Found, survey
from orchestrator.app.occurrences.decide import Illegible, Known, State
from orchestrator.errors import BatchDeleted, OrchestratorError
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.known_batches import read_batch
from orchestrator.ledger.lock import held_for
from orchestrator.model.batches import Batch, Trigger
from orchestrator.model.schedule import Schedule
from orchestrator.specfile import LoadedSpec, load_spec

RUN = "run"


def known_batches(
    home: Path, loaded: LoadedSpec, schedule: Schedule, *, announces: bool = False
) -> tuple[list[Known], list[Illegible]]:
    """
    The batches of a name, and the folders that may hold one and cannot be read.

    Args:
        loaded: the spec of this call.
        schedule: of the spec; a batch without an occurrence has that of the time when it began.
        announces: whether this call announces the ends of batches.
    """
    found = survey(home)
    illegible = [
        Illegible(folder=one.folder, made_at=one.made_at, reason=one.reason)
        for one in found.unreadable
    ]
    known = []
    for one in found.found:
        try:
            known.append(_known(one, loaded, schedule, announces=announces))
        except BatchDeleted:
            continue
        except (OrchestratorError, OSError) as error:
            if not one.folder.exists():
                # Another command has removed the batch since it was found.
                continue
            made_at = one.batch.created_at
            illegible.append(Illegible(folder=one.folder, made_at=made_at, reason=str(error)))
    return known, illegible


def _known(one: Found, loaded: LoadedSpec, schedule: Schedule, *, announces: bool) -> Known:
    folder = one.folder
    state, batch = _state(folder)
    later_resumes: frozenset[datetime] = frozenset()
    if state is State.INTERRUPTED:
        with LedgerReader(folder / LEDGER) as reader:
            later_resumes = reader.later_resumes()
    return Known(
        folder=folder,
        series=batch.series,
        occurrence=batch.occurrence or schedule.at(batch.created_at),
        number=batch.number,
        state=state,
        began_at=batch.created_at,
        exit_code=batch.exit_code,
        lacks=batch.completed_at is None or (batch.owes_news and announces),
        later_resumes=later_resumes,
        other_spec=_other_spec(batch, loaded),
        is_by_resume=batch.triggered_by is Trigger.RESUME,
    )


def _state(folder: Path) -> tuple[State, Batch]:
    """The state of a batch, and its record, read after the lock: its process may end meanwhile."""
    command = held_for(folder)
    batch = read_batch(folder / LEDGER)
    if command is not None:
        return State.LIVE if command in ("", RUN) else State.BUSY, batch
    return State.DONE if batch.is_done else State.INTERRUPTED, batch


def _other_spec(batch: Batch, loaded: LoadedSpec) -> Path | None:
    """The spec file of a batch, if it is another file with the same name and other content."""
    path = Path(batch.plan.spec_path)
    if path == loaded.path.absolute() or not path.is_file():
        return None
    try:
        other = load_spec(path)
    except OrchestratorError:
        return None
    same_name = other.spec.batch.name == loaded.spec.batch.name
    return path if same_name and other.sha256 != loaded.sha256 else None
