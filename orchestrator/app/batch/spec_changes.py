"""Changes of a spec since its batch was made."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from orchestrator.app.batch.creation import plan_of
from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.history.absent_batches import absent_batches
from orchestrator.errors import InputRejected, UsageError
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.amendments import apply_changes, definitions
from orchestrator.model.batches import BatchPlan
from orchestrator.model.jobs import Job
from orchestrator.specfile import LoadedSpec, expand, load_spec
from orchestrator.store.disk_writes import write_file
from orchestrator.system_errors import refuse_exhaustion

SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The differences between a spec and the batch that was made from it."""

    plan: BatchPlan
    added: Sequence[Job]
    changed: Sequence[Job]
    removed: Sequence[str]

    def listed(self) -> str:
        """The changes for people, one on each line, the first ones of each kind."""
        kinds: dict[str, Sequence[str]] = {
            "added": [job.key for job in self.added],
            "changed": [job.key for job in self.changed],
            "removed": self.removed,
        }
        lines = [_listed(kind, keys) for kind, keys in kinds.items() if keys]
        return "\n".join(lines) or "  only settings of the batch as a whole"


def _listed(kind: str, keys: Sequence[str]) -> str:
    """The first keys of a kind, one on each line."""
    lines = [f"  {kind}: {key}" for key in keys[:SHOWN]]
    if len(keys) > SHOWN:
        lines.append(f"  {kind}: … and {len(keys) - SHOWN} more")
    return "\n".join(lines)


def handle_changes(
    folder: Path, loaded: LoadedSpec | None, *, accept: bool, note: Callable[[str], None]
) -> None:
    """
    Applies a changed spec to its batch, or only reports the changes.

    Args:
        folder: of a batch whose lock the caller holds.
        loaded: the spec of this call; None for the one that the batch was made from.
        accept: whether to apply the changes.
        note: gets the report.

    Raises:
        UsageError: the changes must be applied, and the spec has mistakes or is not there; nothing
            is changed.
    """
    with LedgerReader(folder / LEDGER) as reader:
        plan = reader.batch().plan
    path = Path(plan.spec_path) if loaded is None else loaded.path
    if loaded is None and not path.is_file():
        if accept:
            raise UsageError(
                f"{folder}: --accept-changes needs the spec of this batch, and {path} is not a file"
            )
        return
    if accept:
        _apply_changes(folder, loaded or load_spec(path), plan, note)
        return
    try:
        changes = _changes(folder, loaded or load_spec(path), plan)
    except UsageError as error:
        note(f"{path} has mistakes now; the batch keeps its own copy:\n{error}")
        return
    if changes is not None:
        note(
            f"{path} has changed since this batch was made; the batch keeps its own copy, and "
            f"--accept-changes applies the new spec:\n{changes.listed()}"
        )


def _apply_changes(
    folder: Path, loaded: LoadedSpec, plan: BatchPlan, note: Callable[[str], None]
) -> None:
    changes = _changes(folder, loaded, plan)
    if changes is None:
        return
    kept = apply_changes(
        folder / LEDGER,
        changes.plan,
        added=changes.added,
        changed=changes.changed,
        removed=changes.removed,
    )
    write_file(folder / f"spec{loaded.ending}", [loaded.source])
    if kept:
        note(
            "these changed jobs already have a run, so they keep their definition in this batch, "
            f"also for retry; a new batch takes the new one:\n{_listed('kept', kept)}"
        )


def _remade(folder: Path, plan: BatchPlan) -> list[Job]:
    """
    The jobs that the new spec makes of items that were rows before.

    Raises:
        UsageError: items of the batch cannot be read.
    """
    if not plan.sweeps:
        return []
    from orchestrator.app.batch.item_rows import remade_jobs

    try:
        return list(remade_jobs(folder, plan))
    except (OSError, ValueError, InputRejected) as error:
        if isinstance(error, OSError):
            refuse_exhaustion(error)
        raise UsageError(
            f"{folder}: the changed spec cannot be compared, because items that are rows cannot be "
            f"read: {error}"
        ) from error


def _changes(folder: Path, loaded: LoadedSpec, plan: BatchPlan) -> Changes | None:
    """
    The changes; None when there are none.

    Raises:
        UsageError: the spec has mistakes, or does not go with what the batch has.
    """
    day = date.fromisoformat(plan.day) if plan.day else datetime.now(UTC).date()
    now = plan_of(
        loaded,
        params=plan.params,
        choice=plan.choice,
        day=day,
        local=plan.local,
        remote=plan.remote,
        schedule=plan.schedule,
    )
    if now.spec_sha256 == plan.spec_sha256:
        return None
    before = definitions(folder / LEDGER)
    output = folder.parent.parent
    jobs = expand(
        loaded,
        params=plan.params,
        env=os.environ,
        today=day,
        output=output,
        is_local=plan.local is not None,
        own=folder,
        absent=absent_batches(output, is_local=plan.local is not None),
    )

    def spelled_alike() -> Iterator[Job]:
        spelled = {key.lower(): key for key in before}
        for job in plan.choice.of(jobs):
            known = spelled.get(job.key.lower(), job.key)
            if known != job.key:
                raise UsageError(
                    f"{loaded.path}: the key {job.key} differs from {known} of {folder} only by "
                    "case: give the job another name, or the old one"
                )
            yield job

    return changes_of(folder, now, before, spelled_alike())


def changes_of(
    folder: Path, plan: BatchPlan, before: Mapping[str, Job | None], jobs: Iterable[Job]
) -> Changes:
    """
    The differences between a spec and a batch.

    Args:
        folder: of the batch.
        plan: of the spec.
        before: the jobs of the batch; see `definitions`.
        jobs: of the spec, without those that are made of items.

    Raises:
        UsageError: items of the batch cannot be read.
    """
    left = dict(before)
    added, changed = [], []

    def compare(job: Job) -> None:
        old = left.pop(job.key, None)
        if old is None:
            added.append(job)
        elif old != replace(job, seq=0):
            changed.append(job)

    for job in jobs:
        compare(job)
    for job in _remade(folder, plan):
        # A job that has given its items does so once, also if the new spec makes others of them.
        if job.key in left:
            compare(job)
    removed = [key for key, old in left.items() if old is not None]
    return Changes(plan=plan, added=added, changed=changed, removed=removed)
