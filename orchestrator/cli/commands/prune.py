"""`orchestrator prune`: removes old batches of a name."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from orchestrator.app.batch_folders import display, survey
from orchestrator.app.history.prune import (
    Old,
    delete_storages,
    old_batches,
    remove,
    remove_leftovers,
    size_of,
)
from orchestrator.cli.batch_run import make_context
from orchestrator.cli.command_settings import settings_of
from orchestrator.cli.event_loop import in_event_loop
from orchestrator.errors import BatchHeld, BatchNotFound, PlatformError, UsageError
from orchestrator.model.batches import Retention
from orchestrator.report.lines import size
from orchestrator.safe_text import plain


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    if options.keep_last is None and options.keep_days is None:
        raise UsageError("say what to keep: --keep-last N, --keep-days D, or both")
    home = settings_of(options).output / options.name
    # "", "." and "a/b" are paths to other folders, which this must not remove. The survey makes the
    # folders of batches that only other machines have.
    if home.name != options.name or not (survey(home).found or home.is_dir()):
        raise BatchNotFound(f"{home}: there is no batch of this name")
    keep = Retention(keep_last=options.keep_last, keep_days=options.keep_days)
    sizes: dict[str, int] = {}
    kept, has_failed = [], False
    for old in old_batches(home, keep, now=datetime.now(UTC)):
        shown, reason, size_bytes = display(old.folder), old.kept_because, 0
        if reason is None:
            # Before it is removed.
            size_bytes = size_of(old.folder)
            reason, failed = (None, False) if options.dry_run else _remove(old, options)
            has_failed |= failed
        if reason is None:
            sizes[shown] = size_bytes
        else:
            kept.append({"folder": shown, "reason": reason})
    if not options.dry_run:
        remove_leftovers(home)
    if options.json:
        print(json.dumps({"removed": [*sizes], "kept": kept, "bytes": sizes}))
    else:
        _print(sizes, kept, "would remove" if options.dry_run else "removed")
    return 1 if has_failed else 0


def _remove(old: Old, options: argparse.Namespace) -> tuple[str | None, bool]:
    """Removes a batch; returns why not, if so, and whether that is a failure."""
    try:
        if options.delete_storages and not old.is_deleted:
            context = make_context(options, settings_of(options))
            try:
                in_event_loop(delete_storages, old.folder, context)
            except (UsageError, PlatformError) as error:
                return f"its storages cannot be deleted: {error}", True
        remove(old.folder)
    except BatchHeld:
        return "a process holds it", False
    except UsageError as error:
        return str(error), True
    return None, False


def _print(sizes: Mapping[str, int], kept: Sequence[Mapping[str, str]], word: str) -> None:
    for folder, size_bytes in sizes.items():
        print(f"{word} {folder} ({size(size_bytes)})")
    for entry in kept:
        print(f"kept {entry['folder']}: {plain(entry['reason'])}")
    if sizes:
        print(f"{word} {len(sizes)} batches, {size(sum(sizes.values()))} in all")
    if not sizes and not kept:
        print("no batch is old enough to remove")
