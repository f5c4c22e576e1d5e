"""`orchestrator prune`: remove old batches of a name."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.cli.arguments import add_output, settings_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("name", metavar="NAME", help="a batch's name")
    parser.add_argument(
        "--keep-last", metavar="N", type=_count, help="keep the N newest, whatever their age"
    )
    parser.add_argument(
        "--keep-days", metavar="D", type=float, help="keep those that ended in the last D days"
    )
    parser.add_argument(
        "--delete-storages",
        action="store_true",
        help="delete what the runs of removed batches hold on the platform, once it is known to be "
        "on disk",
    )
    parser.add_argument("--dry-run", action="store_true", help="only tell which it would be")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    add_output(parser)
    parser.set_defaults(on_signal="leave")


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    import json
    from datetime import UTC, datetime

    from orchestrator.app.batch_folders import display
    from orchestrator.app.history.prune import old_batches, remove_remains
    from orchestrator.errors import BatchNotFound, UsageError

    if options.keep_last is None and options.keep_days is None:
        raise UsageError("say what to keep: --keep-last N, --keep-days D, or both")
    home = settings_of(options).output / options.name
    # What "", "." or "a/b" would reach is not ours to remove.
    if home.name != options.name or not home.is_dir():
        raise BatchNotFound(f"{home}: there is no batch of this name")
    removed, kept = [], []
    for old in old_batches(
        home,
        keep_last=options.keep_last or 0,
        keep_days=options.keep_days,
        now=datetime.now(UTC),
    ):
        reason = old.kept_since
        if reason is None and not options.dry_run:
            reason = _remove(old.folder, options)
        if reason is None:
            removed.append(display(old.folder))
        else:
            kept.append({"folder": display(old.folder), "reason": reason})
    if not options.dry_run:
        remove_remains(home)
    if options.json:
        print(json.dumps({"removed": removed, "kept": kept}))
    else:
        _tell(removed, kept, "would remove" if options.dry_run else "removed")
    return 0


def _remove(folder: Path, options: argparse.Namespace) -> str | None:
    """Removes a batch; or says why it is kept."""
    from orchestrator.app.history.prune import delete_storages, remove
    from orchestrator.cli.batch_run import make_context
    from orchestrator.cli.event_loop import in_event_loop
    from orchestrator.errors import BatchHeld, PlatformError, UsageError

    try:
        if options.delete_storages:
            in_event_loop(delete_storages, folder, make_context(options, settings_of(options)))
        remove(folder)
    except BatchHeld:
        return "a process is at it"
    except (UsageError, PlatformError) as error:
        return f"its storages were not deleted: {error}"
    return None


def _tell(removed: Sequence[str], kept: Sequence[Mapping[str, str]], word: str) -> None:
    for folder in removed:
        print(f"{word} {folder}")
    for entry in kept:
        print(f"kept {entry['folder']}: {entry['reason']}")
    if not removed and not kept:
        print("nothing is old enough")


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"must not be negative, found {number}")
    return number
