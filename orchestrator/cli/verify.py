"""
`orchestrator verify`: a batch's files against its ledger, offline.
"""

from __future__ import annotations

import argparse

from orchestrator.cli.common import add_output, add_select, settings_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    The command's options.
    """
    parser.add_argument("batch", metavar="BATCH", help="a batch: its folder, NAME or NAME/ID")
    add_select(parser, "which jobs")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    add_output(parser)


def call(options: argparse.Namespace) -> int:
    """
    Runs the command.
    """
    import json

    from orchestrator.app.folders import display, find_batch
    from orchestrator.app.verifying import verify
    from orchestrator.model.selection import parse_selection

    folder = find_batch(settings_of(options).output, options.batch)
    checked, wrong = 0, []
    for key, problems in verify(folder, parse_selection(options.select)):
        checked += 1
        if problems:
            wrong.append({"key": key, "problems": list(problems)})
            if not options.json:
                print(f"{key}: {', '.join(problems)}")
    if options.json:
        print(json.dumps({"folder": str(folder), "checked": checked, "wrong": wrong}))
    elif wrong:
        print(
            f"{len(wrong)} of {checked} jobs are not as they were collected; "
            f"`orchestrator collect {display(folder)}` fetches what is missing"
        )
    else:
        print(f"{checked} jobs are on disk as they were collected")
    return 1 if wrong else 0
