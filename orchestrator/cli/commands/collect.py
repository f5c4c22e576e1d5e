"""`orchestrator collect`: downloads the results of a batch that are not on disk."""

from __future__ import annotations

import argparse
import sys
from functools import partial

from orchestrator.app.batch_folders import display, find_batch
from orchestrator.app.outputs.collection import Extra, collect_batch
from orchestrator.app.outputs.foreign_runs import RunsRequest, collect_runs
from orchestrator.cli.batch_report import report, say_not_whole
from orchestrator.cli.batch_run import make_context
from orchestrator.cli.batch_selection import selection_in
from orchestrator.cli.command_settings import settings_of
from orchestrator.cli.event_loop import in_event_loop
from orchestrator.errors import UsageError
from orchestrator.ledger import BatchLock
from orchestrator.model.states import SETTLED_JOB_STATUSES
from orchestrator.pasted_command import pasted_command


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    if options.runs or options.task or options.name or options.last:
        return _collect_runs(options)
    if options.batch is None:
        raise UsageError("give a batch, or runs with --runs ID… --name N")
    return _collect_batch(options)


def _collect_runs(options: argparse.Namespace) -> int:
    if options.batch is not None or options.select is not None:
        raise UsageError(
            "--runs, --task, --last and --name make a new batch: leave out these, or BATCH and "
            "--select"
        )
    if bool(options.runs) == bool(options.task) or bool(options.task) != bool(options.last):
        raise UsageError("give --runs ID…, or --task T with --last AGE such as 24h")
    if not options.name:
        raise UsageError("give the batch a name: --name N")
    settings = settings_of(options)
    settings.require_token()
    request = RunsRequest(
        name=options.name, runs=options.runs or (), task=options.task, last=options.last
    )
    result = in_event_loop(collect_runs, request, make_context(options, settings))
    report(result, as_json=options.json)
    return result.batch.exit_code or 0


def _collect_batch(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    folder = find_batch(settings.output, options.batch)
    selection = selection_in(folder, options.select)
    context = make_context(options, settings)
    with BatchLock(folder, "collect"):
        extra = Extra(run=options.run_json, input=options.input_json)
        done = in_event_loop(
            partial(collect_batch, asks=options.online), folder, context, selection, extra
        )
    facts = {
        "fetched": done.fetched,
        "lacking": [{"key": key, "error": error} for key, error in done.lacking.items()],
        "under_way": done.under_way,
    }
    report(done.result, as_json=options.json, more=facts)
    sys.stderr.write(f"downloaded missing results of {len(done.fetched)} jobs\n")
    for key, error in done.lacking.items():
        sys.stderr.write(f"cannot download: {key}: {error}\n")
    if done.under_way:
        sys.stderr.write(
            f"{done.under_way} jobs are in progress; resume them with: "
            f"{pasted_command('resume', display(folder))}\n"
        )
    elif done.exit_code == 1 and set(done.result.totals.jobs) - SETTLED_JOB_STATUSES:
        say_not_whole(folder)
    return done.exit_code
