"""What `run` and `resume` share: a context to drive a batch in, and what is printed at the end."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from pathlib import Path

from orchestrator.app.batch.lifecycle import Result
from orchestrator.app.setup.context import BatchContext
from orchestrator.app.setup.settings import Settings
from orchestrator.cli.event_loop import in_event_loop
from orchestrator.cli.platform_connection import connector
from orchestrator.cli.progress_display import display_for
from orchestrator.event_log import configure_logs
from orchestrator.safe_text import SECRETS, SHORTEST_TOKEN
from orchestrator.scheduler.timings import TIMINGS


def make_context(options: argparse.Namespace, settings: Settings) -> BatchContext:
    """The context of a command that drives a batch; logs are set up with it."""
    sink = configure_logs(level=settings.log_level, as_json=settings.log_format == "json")
    if settings.token is not None:
        SECRETS.add(settings.token.get_secret_value(), shortest=SHORTEST_TOKEN)
    return BatchContext(
        settings=settings,
        connect=connector(settings),
        display=display_for(settings.log_format),
        sink=sink,
        abort_on_signal=options.on_signal == "abort",
        force=getattr(options, "force", False),
        timings=getattr(options, "timings", TIMINGS),
    )


def drive(
    function: Callable[[Path, BatchContext], Awaitable[Result]],
    folder: Path,
    context: BatchContext,
    *,
    as_json: bool,
) -> int:
    """Drives a batch in an event loop of its own, prints how it went and returns the exit code."""
    result = in_event_loop(function, folder, context)
    print_result(result, as_json=as_json)
    code = result.batch.exit_code
    return 0 if code is None else code


def print_result(result: Result, *, as_json: bool, to_stderr: bool = False) -> None:
    """Prints how a batch went; see `batch_report`, which no start has to wait for."""
    from orchestrator.cli.batch_report import report

    report(result, as_json=as_json, to_stderr=to_stderr)
