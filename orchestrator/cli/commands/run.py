"""`orchestrator run`: a spec as a new batch, or, with `--resume`, the batch of an occurrence."""

from __future__ import annotations

import argparse
from dataclasses import replace

from orchestrator.cli.batch_run import make_context
from orchestrator.cli.command_settings import settings_of
from orchestrator.cli.occurrence import Asked, backfill, run_new, serve_occurrence
from orchestrator.errors import UsageError
from orchestrator.specfile import load_spec


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    if options.resume and options.concurrent:
        raise UsageError(
            "--resume makes one batch of each occurrence, and --concurrent another one beside it: "
            "leave one of them out"
        )
    settings = settings_of(options)
    if not options.local:
        settings.require_token()
    context = make_context(options, settings)
    asked = Asked(options, load_spec(options.spec), context)
    if options.dates is not None:
        return backfill(asked, options.dates)
    if options.resume:
        context = replace(context, waits_for_platform=True)
        return serve_occurrence(replace(asked, context=context))
    return run_new(asked)
