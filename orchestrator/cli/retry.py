"""
`orchestrator retry`: failed jobs again, as new attempts in the same batch.
"""

from __future__ import annotations

import argparse

from orchestrator.cli.common import add_driving, add_select, read_ahead, settings_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    The command's options.
    """
    parser.add_argument("batch", metavar="BATCH", help="a batch: its folder, NAME or NAME/ID")
    add_select(parser, "which of the failed jobs")
    parser.add_argument("--dry-run", action="store_true", help="only tell which jobs it would be")
    add_driving(parser)


def call(options: argparse.Namespace) -> int:
    """
    Runs the command.
    """
    read_ahead()
    import json
    import os

    from orchestrator.app.batch import resume_batch
    from orchestrator.app.folders import LEDGER, find_batch
    from orchestrator.app.secrets import require_secrets
    from orchestrator.cli.driving import drive, make_context
    from orchestrator.ledger import BatchLock, LedgerReader
    from orchestrator.ledger.amending import set_waiting
    from orchestrator.model.selection import parse_selection
    from orchestrator.model.states import FAILED_JOB_STATUSES

    settings = settings_of(options)
    selection = parse_selection(options.select)
    folder = find_batch(settings.output, options.batch)
    with BatchLock(folder):
        with LedgerReader(folder / LEDGER) as reader:
            chosen = [
                (report.job.seq, report.job.key, report.status)
                for report in reader.reports()
                if report.status in FAILED_JOB_STATUSES
                and selection.matches(report.job.key, report.status, report.job.tags)
            ]
        if options.dry_run or not chosen:
            if options.json:
                jobs = [{"key": key, "status": status.value} for _, key, status in chosen]
                print(json.dumps({"jobs": jobs}))
            else:
                for _, key, status in chosen:
                    print(f"{status}  {key}")
                print(f"{len(chosen)} jobs" if chosen else "no failed job is selected")
            return 0
        context = make_context(options, settings)
        wanted = {seq for seq, _, _ in chosen}
        with LedgerReader(folder / LEDGER) as reader:
            late = reader.rendered_late(with_settled=True)
            require_secrets((job for job in late if job.seq in wanted), os.environ)
        set_waiting(folder / LEDGER, sorted(wanted))
        return drive(resume_batch, folder, context, as_json=options.json)
