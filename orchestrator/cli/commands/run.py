"""`orchestrator run`: runs a spec as a new batch, or with `--resume` that of an occurrence."""

from __future__ import annotations

import argparse
from dataclasses import replace

from orchestrator.cli.announcement import Call, announcing
from orchestrator.cli.backfill import backfill
from orchestrator.cli.batch_run import make_context
from orchestrator.cli.command_settings import settings_of
from orchestrator.cli.run_command import RunCommand, run_new
from orchestrator.errors import UsageError
from orchestrator.specfile import load_spec
from orchestrator.specfile.notify_urls import plan_of_table


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    return Call(options).perform(_run)


def _run(call: Call) -> int:
    options = call.options
    if options.resume and options.concurrent:
        raise UsageError(
            "--resume makes one batch for each occurrence, but --concurrent makes another one: "
            "leave out one of them"
        )
    settings = settings_of(options)
    if not options.local:
        settings.require_token()
    loaded = load_spec(options.spec)
    plan = plan_of_table(loaded.spec.notify)
    context = announcing(make_context(options, settings), plan)
    call.announcer = context.announcer
    command = RunCommand(options, loaded, context)
    if options.dates is not None:
        return backfill(command, options.dates)
    if options.resume:
        # A plain run does not wait for what it does not need.
        from orchestrator.cli.occurrence import serve_occurrence

        context = replace(context, waits_for_platform=True)
        return serve_occurrence(replace(command, context=context))
    return run_new(command)
