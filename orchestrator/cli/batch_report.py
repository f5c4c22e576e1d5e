"""The summary, failures and warnings that a command prints at the end of a batch."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.app.batch.lifecycle import Result
from orchestrator.app.batch_folders import LEDGER, display
from orchestrator.app.outputs.merge import table_on_disk
from orchestrator.app.outputs.object_store import remote_folder
from orchestrator.cli.streams import write_lines
from orchestrator.errors import BudgetExhausted, OrchestratorError, TooManyJobs
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.statistics import NearCap, Totals
from orchestrator.model.money import money
from orchestrator.model.states import FAILED_JOB_STATUSES
from orchestrator.pasted_command import pasted_command
from orchestrator.report.expiry import expiry_warning
from orchestrator.report.failure_lines import failure_fields, failure_lines, sweep_lines
from orchestrator.report.failures import Failures, group_failures
from orchestrator.report.summary import summary_of
from orchestrator.report.terminal import print_table, summary_table
from orchestrator.safe_text import plain


def say_not_whole(folder: Path) -> None:
    """Says that jobs of a batch are left to start, and which command starts them."""
    command = pasted_command("resume", display(folder))
    write_lines(f"the batch is not whole: {command}", sys.stderr)


def report(
    result: Result,
    *,
    as_json: bool,
    more: Mapping[str, object] | None = None,
    to_stderr: bool = False,
) -> None:
    """
    Prints the summary to stdout, and what needs attention to stderr.

    Args:
        more: further fields of the JSON form.
        to_stderr: whether the summary goes to stderr too, as a table; stdout is another batch's.
    """
    if to_stderr:
        # stdout then holds one summary only, and stays readable for programs.
        with redirect_stdout(sys.stderr):
            report(result, as_json=False, more=more)
        return
    remote = remote_folder(result.batch)
    groups = failures_in(result.folder, result.totals)
    if as_json:
        summary = summary_of(result.batch, result.totals)
        facts = {**summary, "folder": str(result.folder.absolute()), **(more or {})}
        table = table_on_disk(result.folder)
        facts["table"] = None if table is None else str(table.path.absolute())
        facts["failures"] = failure_fields(result.batch, groups)
        if remote is not None:
            facts["remote"] = remote
        print(json.dumps(facts))
    else:
        print_table(summary_table(result.batch, result.totals))
        write_lines(f"results: {display(result.folder)}\n{_table_line(result)}", sys.stdout)
        if remote is not None:
            write_lines(f"uploaded to: {remote}", sys.stdout)
    _print_failures(result, groups)
    own = expiry_warning(result.batch, result.totals, display(result.folder), datetime.now(UTC))
    for warning in filter(None, (*result.warnings, own)):
        write_lines(plain(warning), sys.stderr)
    if result.totals.near_cap:
        write_lines(_cap_warning(result.totals.near_cap), sys.stderr)
    for orphan in result.totals.orphans:
        write_lines(
            f"orphan run {orphan.run_id}: it belongs to no attempt of this batch. Its cost is "
            f"counted. Its status is {orphan.status}",
            sys.stderr,
        )
    if result.reason is not None:
        write_lines("\n".join(_early_end(result, result.reason)), sys.stderr)


_RAISED: Mapping[type[OrchestratorError], str] = {
    BudgetExhausted: "max_cost_usd",
    TooManyJobs: "max_jobs",
}
"""The limits of the spec that stop a batch, and must be raised before it can continue."""


def _table_line(result: Result) -> str:
    """Names the file with all results as one table, or the command that writes it."""
    table = table_on_disk(result.folder)
    if table is not None:
        return f"table: {display(table.path)} ({table.rows:,} rows)"
    return f"one table: {pasted_command('export', display(result.folder), '--format', 'csv')}"


def _early_end(result: Result, reason: OrchestratorError) -> Iterator[str]:
    """Why the batch stopped early, which live runs cost money, and what to do about both."""
    folder = display(result.folder)
    yield f"stopped early: {reason}"
    raised = _RAISED.get(type(reason))
    # The batch keeps its own copy of the spec: a plain `resume` would stop at once.
    first, options = (
        (f"raise {raised} in the spec, then ", ["--accept-changes"]) if raised else ("", [])
    )
    yield f"{first}resume it with: {pasted_command('resume', folder, *options)}"
    if result.live_runs:
        runs = "1 run continues" if result.live_runs == 1 else f"{result.live_runs:,} runs continue"
        is_local = result.batch.plan.local is not None
        where = "when the emulator is started again" if is_local else "at the platform"
        yield f"{runs} {where}; abort with: {pasted_command('abort', folder)}"


def _cap_warning(near_cap: Sequence[NearCap]) -> str:
    """Says that a cap which the user did not set may have cut runs short."""
    one = near_cap[0]
    more = f" and {len(near_cap) - 1} more" if len(near_cap) > 1 else ""
    return (
        f"{one.key}{more}: the run cost {money(one.cost_usd)}, close to the cap of "
        f"{money(one.cap_usd)} that we chose for it under max_cost_usd. The cap may have cut "
        "the run short. Set max_total_charge_usd to choose the cap yourself"
    )


def _print_failures(result: Result, groups: Sequence[Failures]) -> None:
    for line in failure_lines(result.batch, groups, display(result.folder)):
        write_lines(line, sys.stderr)
    for line in sweep_lines(result.totals.sweeps):
        write_lines(line, sys.stderr)


def failures_in(folder: Path, totals: Totals) -> list[Failures]:
    """The failures of a batch by their causes."""
    # Most batches have none, and opening a ledger checks the whole file.
    if not FAILED_JOB_STATUSES & totals.jobs.keys():
        return []
    with LedgerReader(folder / LEDGER) as reader:
        return group_failures(reader.failed_jobs())
