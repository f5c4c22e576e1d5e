"""Answers about runs that several groups of endpoints give."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import anyio

from apify_emulator.account import USER_ID
from apify_emulator.actors.actor import Actor
from apify_emulator.api.context import Context
from apify_emulator.http.answers import Answer
from apify_emulator.http.calls import Call
from apify_emulator.processes.run_logs import RunLogs
from apify_emulator.runs.run import Run
from apify_emulator.runs.run_views import run_view
from apify_emulator.runs.simulation import log_text, script_of
from apify_emulator.times import now

_LOG_PAUSE_SECS = 0.5
_ANSI = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)|\x1b.?")


async def wait_for_end(run: Run, wait_secs: float) -> None:
    """Waits until a run has ended, at most `wait_secs`."""
    if wait_secs <= 0 or run.is_terminal:
        return
    with anyio.move_on_after(wait_secs):
        await run.ended().wait()


def run_data(context: Context, call: Call, run: Run) -> dict[str, Any]:
    """Returns a run as its own endpoint shows it to this caller."""
    moment = now()
    lag = context.faults.faults.usage_lag_secs
    is_cost_final = not lag or (run.finished_at is not None and moment - run.finished_at >= lag)
    view = run_view(run, USER_ID, moment, with_usage=call.is_known and is_cost_final)
    if not is_cost_final:
        view["chargedEventCounts"] = {}
    return {**view, "consoleUrl": f"{call.base_url}/view/runs/{run.id}"}


def without_ansi(text: bytes) -> bytes:
    """Returns a log without the terminal sequences that Apify removes."""
    return _ANSI.sub(b"", text)


def build_log(context: Context, call: Call, actor: Actor) -> Answer:
    """Answers with the log of the build of an Actor's environment."""
    text = context.lifecycle.environments.log(actor)
    body = text if call.flag("raw") else without_ansi(text)
    return Answer(body=body, content_type="text/plain; charset=utf-8")


def log_answer(context: Context, call: Call, run: Run) -> Answer:
    """Answers with a run's log; with `stream` it continues until the run has ended."""
    answer = Answer(content_type="text/plain; charset=utf-8", may_compress=False)
    if call.flag("download"):
        answer.headers["Content-Disposition"] = f'attachment; filename="{run.id}.log"'
    is_raw = call.flag("raw")
    if call.flag("stream") and not (run.is_virtual and run.is_terminal):
        pieces = _pieces(context, run)
        answer.body = pieces if is_raw else _plain_lines(pieces)
        return answer
    logs: RunLogs = context.logs
    text = log_text(run, script_of(run)) if run.is_virtual else b"".join(logs.read(run.id))
    answer.body = text if is_raw else without_ansi(text)
    return answer


def _pieces(context: Context, run: Run) -> AsyncIterator[bytes]:
    if run.is_virtual:
        return _followed_log(run)
    return context.logs.follow(run.id, lambda: run.is_terminal)


async def _plain_lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yields whole lines without terminal sequences, which the end of a piece may cut."""
    rest = b""
    async for piece in pieces:
        whole, newline, rest = (rest + piece).rpartition(b"\n")
        if newline:
            yield without_ansi(whole + newline)
    if rest:
        yield without_ansi(rest)


async def _followed_log(run: Run) -> AsyncIterator[bytes]:
    """Yields the log of a simulated run and what is added to it, until the run has ended."""
    script, sent = script_of(run), 0
    while True:
        # Checked before the log is read, so that the last lines are not lost.
        is_over = run.is_terminal
        text = log_text(run, script)
        if len(text) > sent:
            yield text[sent:]
            sent = len(text)
        if is_over:
            return
        # Nothing tells when a computed line is due, but the end of the run does.
        with anyio.move_on_after(_LOG_PAUSE_SECS):
            await run.ended().wait()
