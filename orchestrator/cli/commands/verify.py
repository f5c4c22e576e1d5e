"""`orchestrator verify`: checks a batch's files by its ledger, with `--online` the platform too."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.app.batch_folders import display, find_batch
from orchestrator.app.outputs.verification import verify
from orchestrator.cli.batch_selection import selection_in
from orchestrator.cli.command_settings import settings_of
from orchestrator.model.ids import JobKey
from orchestrator.model.selection import Selection
from orchestrator.pasted_command import pasted_command

if TYPE_CHECKING:
    from orchestrator.app.outputs.online_verification import Difference


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    folder = find_batch(settings_of(options).output, options.batch)
    selection = selection_in(folder, options.select)
    online = _ask(folder, selection, options) if options.online else {}
    checked, unproven, wrong, collectable = 0, 0, [], False
    for report, found in verify(folder, selection):
        key = report.job.key
        checked += 1
        unproven += report.proof is None and report.job.collect.items
        problems, more = list(found), online.get(key)
        collectable |= bool(found)
        if more is not None:
            problems.append(more.text)
            collectable |= more.is_collectable
        if problems:
            wrong.append({"key": key, "problems": problems})
            if not options.json:
                print(f"{key}: {', '.join(problems)}")
    if options.json:
        facts = {"folder": str(folder), "checked": checked, "unproven": unproven, "wrong": wrong}
        print(json.dumps(facts))
    elif collectable:
        other, more_words = ("platform", ["--online"]) if online else ("ledger", [])
        command = pasted_command("collect", display(folder), *more_words)
        print(
            f"the files of {len(wrong)} of {checked} jobs differ from the {other}: run "
            f"`{command}` to download them again"
        )
    elif wrong:
        print(
            f"the platform no longer has datasets of {len(wrong)} of {checked} jobs; the files of "
            "all jobs match the ledger"
        )
    else:
        print(f"the files of all {checked} jobs match the ledger")
    if unproven and not options.json:
        command = pasted_command("collect", display(folder))
        print(f"{unproven} jobs are not proven complete: run `{command}` to ask the platform again")
    return 1 if wrong else 0


def _ask(
    folder: Path, selection: Selection, options: argparse.Namespace
) -> Mapping[JobKey, Difference]:
    # What asks the platform takes a third of the start of the command, which rarely needs it.
    from orchestrator.cli.online_questions import ask_about_results

    return ask_about_results(options, folder, selection)
