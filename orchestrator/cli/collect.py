"""
`orchestrator collect`: what the runs of a batch hold and the disk does not.
"""

from __future__ import annotations

import argparse

from orchestrator.cli.common import add_output, add_select, add_telling, settings_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    The command's options.
    """
    parser.add_argument("batch", metavar="BATCH", help="a batch: its folder, NAME or NAME/ID")
    add_select(parser, "which jobs to look at")
    for name in ("run", "input"):
        parser.add_argument(
            f"--{name}-json",
            action="store_true",
            help=f"write {name}.json too where the spec says collect = {{ {name} = false }}",
        )
    add_output(parser)
    add_telling(parser)
    parser.set_defaults(on_signal="leave")


def call(options: argparse.Namespace) -> int:
    """
    Runs the command.
    """
    import sys

    from orchestrator.app.collecting import Extra, collect_batch
    from orchestrator.app.folders import display, find_batch
    from orchestrator.cli.driving import make_context, report
    from orchestrator.cli.event_loop import in_event_loop
    from orchestrator.ledger import BatchLock
    from orchestrator.model.selection import parse_selection

    settings = settings_of(options)
    selection = parse_selection(options.select)
    folder = find_batch(settings.output, options.batch)
    context = make_context(options, settings)
    with BatchLock(folder):
        extra = Extra(run=options.run_json, input=options.input_json)
        done = in_event_loop(collect_batch, folder, context, selection, extra)
    facts = {
        "fetched": done.fetched,
        "lacking": [{"key": key, "error": error} for key, error in done.lacking.items()],
        "under_way": done.under_way,
    }
    report(done.result, as_json=options.json, more=facts)
    sys.stderr.write(f"{len(done.fetched)} jobs had something to fetch\n")
    for key, error in done.lacking.items():
        sys.stderr.write(f"cannot be fetched: {key}: {error}\n")
    if done.under_way:
        sys.stderr.write(
            f"{done.under_way} jobs are under way; go on with them by: "
            f"orchestrator resume {display(folder)}\n"
        )
    return done.exit_code
