"""What all commands that drive a batch share: its context, the event loop and the last lines."""

from __future__ import annotations

import argparse
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from orchestrator.app.batch.lifecycle import Result
from orchestrator.app.setup.caller import ancestors_of_this_process, caller_of, has_terminal
from orchestrator.app.setup.context import BatchContext
from orchestrator.app.setup.settings import Settings
from orchestrator.cli.announcement import announce
from orchestrator.cli.event_loop import in_event_loop
from orchestrator.cli.platform_connection import connector
from orchestrator.cli.progress_display import display_for
from orchestrator.errors import ConfigError, LeftForNextOccurrence
from orchestrator.event_log import configure_logs
from orchestrator.extras import LIBRARIES_OF_EXTRAS, Extra, not_installed
from orchestrator.safe_text import SECRETS, SHORTEST_TOKEN
from orchestrator.scheduler.timings import TIMINGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator.app.monitoring.metrics_file import MetricsFile


def make_context(options: argparse.Namespace, settings: Settings) -> BatchContext:
    """The context of a command that drives a batch; it also sets up logs."""
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
        metrics=_metrics_of(options, settings),
        command=_command_of(options),
        caller=settings.trigger or _caller(),
        timings=getattr(options, "timings", TIMINGS),
    )


def _metrics_of(options: argparse.Namespace, settings: Settings) -> MetricsFile | None:
    """
    What writes the file of metrics, for a command that can run a batch.

    Raises:
        ConfigError: the library is not installed; nothing is started.
    """
    if settings.metrics_file is None or not hasattr(options, "metrics_file"):
        return None
    if find_spec(LIBRARIES_OF_EXTRAS[Extra.METRICS]) is None:
        raise ConfigError(f"--metrics-file {not_installed(Extra.METRICS)}")
    # The others need no metrics.
    from orchestrator.app.monitoring.metrics_file import MetricsFile

    return MetricsFile(path=settings.metrics_file.absolute())


def _caller() -> str:
    ancestors = ancestors_of_this_process()
    return caller_of(os.environ, is_terminal=has_terminal(), ancestors=ancestors)


def _command_of(options: argparse.Namespace) -> str:
    name: str = options.command
    return f"{name} --resume" if getattr(options, "resume", False) else name


def drive(
    function: Callable[..., Awaitable[Result]],
    folder: Path,
    context: BatchContext,
    *args: object,
    as_json: bool,
    to_stderr: bool = False,
) -> int:
    """
    Drives a batch in an event loop of its own, prints the result and announces it.

    Args:
        to_stderr: whether the summary goes to stderr, because stdout is another batch's.

    Returns:
        the exit code.
    """
    context = _traced(context)
    try:
        result = in_event_loop(function, folder, context, *args)
    except BaseException:
        if context.metrics is not None:
            context.metrics.finish(None)
        raise
    if context.trace is not None:
        context.trace.finish(result.batch)
    if context.metrics is not None:
        context.metrics.finish(result.folder)
    code = result.batch.exit_code or 0
    is_left = isinstance(result.reason, LeftForNextOccurrence)
    try:
        print_result(result, as_json=as_json, to_stderr=to_stderr)
    finally:
        if not is_left:
            announce(context, result, code)
    # The next occurrence continues the work, so this call needs no attention.
    return 0 if is_left else code


def _traced(context: BatchContext) -> BatchContext:
    """The context with a trace of the batch, if the environment asks for one."""
    if not any(name.startswith("OTEL_") for name in os.environ):
        return context
    # Most calls need no trace.
    from orchestrator.app.monitoring.trace import trace_of

    return replace(context, trace=trace_of(os.environ))


def print_result(result: Result, *, as_json: bool, to_stderr: bool = False) -> None:
    """Prints the result of a batch; imports `batch_report` late, so that no start waits for it."""
    from orchestrator.cli.batch_report import report

    report(result, as_json=as_json, to_stderr=to_stderr)
