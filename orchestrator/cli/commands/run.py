"""`orchestrator run`: runs a spec as a new batch, or with `--resume` that of an occurrence."""

from __future__ import annotations

import argparse
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace

from orchestrator.app.notifications.announcement import announcing
from orchestrator.app.occurrences.backfill import backfill
from orchestrator.app.occurrences.spec_run import SpecRun, run_new
from orchestrator.app.setup.context import BatchContext
from orchestrator.app.setup.settings import Settings
from orchestrator.cli.announced_call import Call
from orchestrator.cli.batch_run import make_context
from orchestrator.cli.command_settings import choice_of, settings_of
from orchestrator.cli.engine_option import refuse_options, run_on_engine
from orchestrator.cli.event_loop import run_to_end
from orchestrator.cli.heartbeat import beating
from orchestrator.cli.shard_option import due_time_of_job, shard_of
from orchestrator.errors import UsageError
from orchestrator.specfile import LoadedSpec, load_spec
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
    if options.on is not None:
        return _run_on_engine(options, settings)
    if options.shards is not None:
        raise UsageError("--shards needs --on dask://HOST:PORT; one process is --shard K/N")
    shard = shard_of(options.shard, os.environ, has_server=settings.ledger is not None)
    if shard is not None and options.concurrent:
        raise UsageError("--shard shares one batch, but --concurrent makes another one")
    is_resuming = options.resume or shard is not None
    call.held_is_success = is_resuming and settings.held_is_success
    if not options.local:
        settings.require_token()
    loaded = load_spec(options.spec, output=settings.output)
    plan = plan_of_table(loaded.spec.notify)
    context = announcing(make_context(options, settings), plan)
    call.announcer = context.announcer
    context = replace(context, waits_for_platform=is_resuming, shard=shard)
    run = _request(options, loaded, context)
    if options.dates is not None:
        return _work(run, backfill, options.dates)
    if is_resuming:
        # A plain run does not wait for what it does not need.
        from orchestrator.app.occurrences.serving import serve_occurrence

        return _work(_with_occurrence(run), serve_occurrence)
    return _work(run, run_new)


def _run_on_engine(options: argparse.Namespace, settings: Settings) -> int:
    """Gives the batch to an engine, whose workers have the token and announce the end."""
    refuse_options(options, has_server=settings.ledger is not None)
    loaded = load_spec(options.spec, output=settings.output)
    run = _request(options, loaded, make_context(options, settings))
    code: int = run_to_end(run_on_engine, run, options)
    return code


def _request(options: argparse.Namespace, loaded: LoadedSpec, context: BatchContext) -> SpecRun:
    return SpecRun(
        loaded=loaded,
        context=context,
        params=dict(options.param),
        choice=choice_of(options),
        named=options.occurrence,
        is_local=options.local,
        actors=options.actors or (),
        is_concurrent=options.concurrent,
        accepts_changes=options.accept_changes,
    )


def _work(run: SpecRun, function: Callable[..., Awaitable[int]], *args: object) -> int:
    code: int = run_to_end(beating, run.context.settings.heartbeat_file, function, run, *args)
    return code


def _with_occurrence(run: SpecRun) -> SpecRun:
    """The request of a shard for the occurrence of its Job, also if the next one is due now."""
    due = due_time_of_job(os.environ) if run.shares and run.named is None else None
    # Not the time itself: an hour that occurs twice has one occurrence, and two Jobs.
    return run if due is None else replace(run, named=run.schedule.at(due))
