"""The event log: where events go, what a line has, and that no log error stops a batch."""

from __future__ import annotations

import ast
import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any

import anyio.lowlevel
import pytest
from anyio import create_task_group, to_thread

import orchestrator
from orchestrator.event_log import (
    LOG,
    LibrarySink,
    LogSink,
    bound,
    configure_logs,
    logging_through,
)
from orchestrator.group_worker import GroupWorker
from orchestrator.safe_text import SECRETS


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[LogSink]:
    """A log of level info that writes to `log.jsonl`, and warnings as text to stderr."""
    sink = configure_logs(level="info", as_json=False)
    sink.open_file(tmp_path / "log.jsonl")
    yield sink
    sink.close_file()


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_event_has_its_facts_level_and_time(sink: LogSink, tmp_path: Path) -> None:
    """A line of the log is one object with the event, its facts, its level and the time in UTC."""
    LOG.info("results_merged", rows=3)
    (line,) = lines(tmp_path)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line.pop("at"))
    assert line == {"event": "results_merged", "rows": 3, "level": "info"}


def test_event_below_the_level_is_left_out(sink: LogSink, tmp_path: Path) -> None:
    """The log level is the lowest that is written."""
    LOG.debug("run_status_changed")
    LOG.warning("straggler_found")
    assert [line["event"] for line in lines(tmp_path)] == ["straggler_found"]


def test_warning_is_text_on_stderr(
    sink: LogSink, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """People see warnings, with the job first and without the batch, whose command they started."""
    with bound(batch_id="b", job="shop", attempt=2):
        LOG.info("run_started")
        LOG.warning("record_not_fetched", key="SCREENSHOT")
    assert capsys.readouterr().err == (
        "warning: record not fetched job=shop attempt=2 key=SCREENSHOT\n"
    )
    assert {line["batch_id"] for line in lines(tmp_path)} == {"b"}


def test_failure_of_a_job_is_only_in_the_file(
    sink: LogSink, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Thousands may fail for one cause; the command prints the causes at the end."""
    LOG.warning("job_settled", job="shop", error="exit code 1")
    assert capsys.readouterr().err == ""
    assert [line["level"] for line in lines(tmp_path)] == ["warning"]


async def test_tasks_keep_their_own_context(sink: LogSink, tmp_path: Path) -> None:
    """Two attempts at the same time never get each other's names."""

    async def attempt(job: str) -> None:
        with bound(job=job):
            await to_thread.run_sync(LOG.info, "log_read")
            LOG.info("run_started")

    with bound(batch_id="b"):
        async with create_task_group() as tasks:
            for job in ("one", "two"):
                tasks.start_soon(attempt, job)
        LOG.info("batch_left")
    seen = {(line["event"], line.get("job")) for line in lines(tmp_path)}
    assert seen == {
        ("log_read", "one"), ("run_started", "one"), ("log_read", "two"), ("run_started", "two"),
        ("batch_left", None),
    }  # fmt: skip


def test_fact_of_an_event_wins_over_the_context(sink: LogSink, tmp_path: Path) -> None:
    """An event about another job names that job."""
    with bound(job="one"):
        LOG.info("job_reused", job="two")
    assert lines(tmp_path)[0]["job"] == "two"


def test_threads_write_whole_lines(sink: LogSink, tmp_path: Path) -> None:
    """Lines of several threads never mix, and none is lost."""
    threads = [
        Thread(target=lambda: [LOG.info("item_seen", text="x" * 5000) for _ in range(50)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(line["text"]) for line in lines(tmp_path)] == [5000] * 200


def test_full_disk_stops_only_the_log(
    sink: LogSink,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One warning says that the log ends, no error is raised, and warnings still reach stderr."""

    def refuse(_file: int, _line: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", refuse)
    LOG.info("run_started")
    LOG.warning("platform_not_reached")
    monkeypatch.undo()
    loss, other = capsys.readouterr().err.splitlines()
    assert loss.startswith("warning: log not written reason=No space left on device consequence=")
    assert other == "warning: platform not reached"
    assert lines(tmp_path) == []


def test_bug_is_logged_with_its_traceback(sink: LogSink, tmp_path: Path) -> None:
    """The log has the traceback of a bug, without secrets."""
    SECRETS.add("hush-hush-hush")
    try:
        raise ValueError("hush-hush-hush")
    except ValueError:
        LOG.exception("program_failed")
    (line,) = lines(tmp_path)
    assert line["level"] == "error"
    assert line["exception"].endswith("ValueError: [secret]\n")


def test_library_prints_no_events() -> None:
    """A program that uses a part of the package without a log finds no events on its stdout."""
    code = "from orchestrator.event_log import LOG; LOG.warning('straggler_found')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout + done.stderr == b""


def test_log_leaves_structlog_to_the_program_of_the_user() -> None:
    """A program that configures structlog keeps its own configuration."""
    code = (
        "import structlog; from orchestrator.event_log import configure_logs; "
        "configure_logs(level='info', as_json=True); print(structlog.is_configured())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"False\n"


async def test_each_batch_of_a_library_has_its_own_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two batches in one loop log into their own files; Python's logging gets their warnings."""

    async def work(name: str) -> None:
        folder = tmp_path / name
        folder.mkdir()
        sink = LibrarySink()
        with logging_through(sink, level="info"):
            sink.open_file(folder / "log.jsonl")
            for _ in range(2):
                await anyio.lowlevel.checkpoint()
                LOG.warning("straggler_found", job=name)
            sink.close_file()

    async with create_task_group() as tasks:
        for name in "ab":
            tasks.start_soon(work, name)
    assert [line["job"] for name in "ab" for line in lines(tmp_path / name)] == ["a", "a", "b", "b"]
    assert sorted(record.getMessage() for record in caplog.records) == [
        *2 * ["warning: straggler found job=a"],
        *2 * ["warning: straggler found job=b"],
    ]


async def test_thread_of_a_batch_logs_where_its_batch_does(tmp_path: Path) -> None:
    """What the thread for the ledger or for files warns of is in the log of its batch."""
    sink = LibrarySink()
    with logging_through(sink, level="info"):
        sink.open_file(tmp_path / "log.jsonl")
        async with GroupWorker("files") as worker:
            await worker.submit(lambda: LOG.info("results_merged"))
        sink.close_file()
    assert [line["event"] for line in lines(tmp_path)] == ["results_merged"]


@cache
def names_of_events() -> set[str]:
    """The names with which the package calls `LOG`, `self._log`, or `log` for its caller."""
    package = Path(orchestrator.__file__).parent
    texts = (path.read_text() for path in package.rglob("*.py"))
    calls = (
        node
        for text in texts
        if re.search(r"\b_?(LOG|log)\b", text)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and node.args
        and re.match(r"(self\._)?(LOG|log)\b", call_of(node))
    )
    return {
        constant.value
        for call in calls
        for constant in ast.walk(call.args[0])
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    }


def call_of(node: ast.Call) -> str:
    return ast.unparse(node.func)


def test_names_of_events_are_snake_case() -> None:
    """Programs that read `log.jsonl` find one form of names."""
    assert [name for name in names_of_events() if not re.fullmatch(r"[a-z]+(_[a-z]+)+", name)] == []


def test_page_lists_every_event() -> None:
    """docs/log.md has a row for each event, and for no other."""
    text = (Path(orchestrator.__file__).parents[1] / "docs" / "log.md").read_text()
    rows = text[text.index("| event |") :].splitlines()[2:]
    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert listed == sorted(set(listed), key=listed.index)
    # These two only go to stderr, so nothing logs them.
    assert set(listed) - {"variable_ignored", "log_not_written"} == names_of_events()
