"""What all commands that drive a batch share: its context and the event loop."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from pathlib import Path

from orchestrator.app.batch.batch_call import drive_batch
from orchestrator.app.batch.lifecycle import Result
from orchestrator.app.monitoring.metrics_setting import metrics_of
from orchestrator.app.setup.caller import caller
from orchestrator.app.setup.context import BatchContext
from orchestrator.app.setup.platform_connection import connector
from orchestrator.app.setup.settings import Settings
from orchestrator.app.setup.signals import listening
from orchestrator.cli.call_report import PrintedReport
from orchestrator.cli.event_loop import run_to_end
from orchestrator.cli.progress_display import display_for
from orchestrator.event_log import configure_logs
from orchestrator.safe_text import SECRETS, SHORTEST_TOKEN
from orchestrator.scheduler.timings import TIMINGS


def make_context(
    options: argparse.Namespace, settings: Settings, *, share: bool = False
) -> BatchContext:
    """
    The context of a command that drives a batch; it also sets up logs.

    Args:
        share: whether to use the local platform of another process, which may end.
    """
    logs_json = settings.log_format == "json"
    sink = configure_logs(level=settings.log_level, as_json=logs_json)
    reporter = PrintedReport(as_json=getattr(options, "json", False), logs_json=logs_json)
    if settings.token is not None:
        SECRETS.add(settings.token.get_secret_value(), shortest=SHORTEST_TOKEN)
    return BatchContext(
        settings=settings,
        # With JSON logs, stderr has the event.
        connect=connector(settings, note=None if logs_json else reporter.note, share=share),
        display=display_for(settings.log_format),
        reporter=reporter,
        listening=listening,
        sink=sink,
        abort_on_signal=options.on_signal == "abort",
        force=getattr(options, "force", False),
        metrics=metrics_of(settings) if hasattr(options, "metrics_file") else None,
        command=_command_of(options),
        caller=settings.trigger or caller(),
        timings=getattr(options, "timings", TIMINGS),
    )


def _command_of(options: argparse.Namespace) -> str:
    name: str = options.command
    return f"{name} --resume" if getattr(options, "resume", False) else name


def drive(function: Callable[..., Awaitable[Result]], folder: Path, context: BatchContext) -> int:
    """Drives a batch in an event loop of its own; returns the exit code."""
    return run_to_end(drive_batch, function, folder, context)
