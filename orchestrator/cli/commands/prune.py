"""`orchestrator prune`: removes old batches of a name."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.app.batch_folders import display
from orchestrator.app.history.prune import delete_storages, old_batches, remove, remove_leftovers
from orchestrator.cli.batch_run import make_context
from orchestrator.cli.command_settings import settings_of
from orchestrator.cli.event_loop import in_event_loop
from orchestrator.errors import BatchHeld, BatchNotFound, PlatformError, UsageError


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    if options.keep_last is None and options.keep_days is None:
        raise UsageError("say what to keep: --keep-last N, --keep-days D, or both")
    home = settings_of(options).output / options.name
    # "", "." and "a/b" are paths to other folders, which this must not remove.
    if home.name != options.name or not home.is_dir():
        raise BatchNotFound(f"{home}: there is no batch of this name")
    removed, kept = [], []
    for old in old_batches(
        home,
        keep_last=options.keep_last or 0,
        keep_days=options.keep_days,
        now=datetime.now(UTC),
    ):
        reason = old.kept_because
        if reason is None and not options.dry_run:
            reason = _remove(old.folder, options)
        if reason is None:
            removed.append(display(old.folder))
        else:
            kept.append({"folder": display(old.folder), "reason": reason})
    if not options.dry_run:
        remove_leftovers(home)
    if options.json:
        print(json.dumps({"removed": removed, "kept": kept}))
    else:
        _print(removed, kept, "would remove" if options.dry_run else "removed")
    return 0


def _remove(folder: Path, options: argparse.Namespace) -> str | None:
    """Removes a batch, or returns the reason why not."""
    try:
        if options.delete_storages:
            in_event_loop(delete_storages, folder, make_context(options, settings_of(options)))
        remove(folder)
    except BatchHeld:
        return "a process holds it"
    except (UsageError, PlatformError) as error:
        return f"its storages cannot be deleted: {error}"
    return None


def _print(removed: Sequence[str], kept: Sequence[Mapping[str, str]], word: str) -> None:
    for folder in removed:
        print(f"{word} {folder}")
    for entry in kept:
        print(f"kept {entry['folder']}: {entry['reason']}")
    if not removed and not kept:
        print("no batch is old enough to remove")
