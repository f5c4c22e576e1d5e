"""
Whether what a job should have on disk is there, and is what was collected.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from orchestrator.collector.items import ItemsFile, items_name
from orchestrator.model.jobs import CollectPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """
    What is on disk of a job.

    Attributes:
        items: the dataset's file, when it is whole.
        is_complete: whether nothing is to be fetched. That a run never had an output record is not
            known here, so a missing one counts.
    """

    items: ItemsFile | None
    is_complete: bool


def look_at(folder: Path, options: CollectPlan, expected: ItemsFile | None) -> Found:
    """
    Looks at the files of a job, in the caller's thread; reads its dataset's file whole.

    Args:
        folder: of the job.
        options: what it was to collect.
        expected: the dataset's file as it was collected; None when it never was.
    """
    items = None
    if options.items and expected is not None:
        path = folder / items_name(options.query)
        if _has(path, expected.size_bytes) and _sha256(path) == expected.sha256:
            items = expected
    is_complete = (
        (items is not None or not options.items)
        and (folder / "run.json").is_file()
        and (not options.output or any(folder.glob("output.*")))
        and (not options.records or (folder / "records").is_dir())
        and (not options.log or (folder / "log.txt").is_file())
    )
    return Found(items=items, is_complete=is_complete)


def _has(path: Path, size_bytes: int) -> bool:
    try:
        return path.stat().st_size == size_bytes
    except OSError:
        return False


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
