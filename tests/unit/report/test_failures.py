"""Failures of a batch, grouped by their cause and printed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.ledger.records import Failure
from orchestrator.model.ids import JobKey, RunId
from orchestrator.model.jobs import Target, TargetKind
from orchestrator.model.states import JobStatus
from orchestrator.report.failure_lines import failure_fields, failure_lines
from orchestrator.report.failures import group_failures
from orchestrator.safe_text import SECRETS
from tests.support.builders import make_batch

APIFY = replace(make_batch(), platform="https://api.apify.com")


def make_failed(seq: int = 0, said: str = "no such shop", **fields: Any) -> Failure:
    """A job of `me/shop` whose run failed with exit code 1."""
    run_id = RunId(f"abcdefgh{seq:09d}")
    given = {
        "key": JobKey(f"job-{seq}"),
        "target": Target(kind=TargetKind.ACTOR, id="me/shop"),
        "status": JobStatus.FAILED,
        "error": f"run {run_id} FAILED with exit code 1: {said}",
        "attempts": 1,
        "run_id": run_id,
        "exit_code": 1,
        "log_end": None,
        **fields,
    }
    return Failure(seq=seq, **given)


def test_equal_failures_are_one_block() -> None:
    """For any number of jobs with one cause, a few lines show it, with what to do."""
    groups = group_failures(make_failed(seq) for seq in range(188))
    assert failure_lines(APIFY, groups, "output/night/1") == [
        "188 jobs FAILED: actor me/shop, exit code 1",
        "    no such shop",
        "    example: job-0",
        "    https://console.apify.com/view/runs/abcdefgh000000000",
        "run failed jobs again: orchestrator retry output/night/1",
    ]


def test_reason_of_an_abort_stands_alone_where_the_run_says_nothing() -> None:
    """The status of the run is in the first line already."""
    job = make_failed(status=JobStatus.ABORTED, exit_code=None)
    aborted = replace(job, error=f"run {job.run_id} ABORTED; aborted because it took too long")
    (group,) = group_failures([aborted])
    assert group.message == "aborted because it took too long"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("page 17 of 2,000 is away", "page 3 of 41.5 is away"),
        ("job-0 asked for too much", "job-1 asked for too much"),
        ("request 5f0e1a2b3c4d not found", "request 99aa88bb77cc not found"),
        (
            "store 0b6f4a3e-8a51-4c8e-9d3a-1f2e3d4c5b6a",
            "store 7c1d2e3f-0000-4c8e-9d3a-aabbccddeeff",
        ),
        ("dataset HgLmNoPqRsTuVwXyZ", "dataset aBcDeFgHiJkLmNoPq"),
        ("at 2026-11-26T02:00:00.123Z", "at 2026-11-27T03:10:59.999Z"),
    ],
    ids=["numbers", "own keys", "hexadecimal", "uuid", "letters", "times"],
)
def test_numbers_and_ids_do_not_change_the_cause(one: str, other: str) -> None:
    """Messages that differ only in numbers and ids have one cause."""
    assert len(group_failures([make_failed(0, one), make_failed(1, other)])) == 1


@pytest.mark.parametrize(
    ("other", "fields"),
    [
        ("out of memory", {}),
        ("ConnectionTimeout", {}),
        ("no such shop", {"exit_code": 2}),
        ("no such shop", {"status": JobStatus.TIMED_OUT}),
        ("no such shop", {"target": Target(kind=TargetKind.TASK, id="me/shop")}),
    ],
    ids=["message", "word of 17 letters", "exit code", "status", "target"],
)
def test_other_facts_change_the_cause(other: str, fields: dict[str, Any]) -> None:
    """Jobs are in one group only if Actor, status, exit code and message are equal."""
    said = "ConnectionRefused" if other == "ConnectionTimeout" else "no such shop"
    groups = group_failures([make_failed(0, said), make_failed(1, other, **fields)])
    assert [group.jobs for group in groups] == [1, 1]


def test_largest_group_comes_first() -> None:
    """The cause of most jobs comes first; equal groups stay in the order of the spec."""
    said = ["a few", "alone", "most", "a few", "most", "most"]
    groups = group_failures(make_failed(seq, each) for seq, each in enumerate(said))
    assert [(group.message, group.jobs) for group in groups] == [
        ("most", 3),
        ("a few", 2),
        ("alone", 1),
    ]


def test_example_is_the_job_whose_log_was_read() -> None:
    """The example shows the last line of its Python traceback instead of its last log lines."""
    log = 'Traceback (most recent call last):\n  File "main.py", line 3\nValueError: no price\nbye'
    groups = group_failures([make_failed(0), make_failed(1, log_end=log, attempts=3)])
    assert failure_lines(APIFY, groups, "b")[1:4] == [
        "    no such shop",
        "    ValueError: no price",
        "    example: job-1 (3 attempts)",
    ]


def test_last_lines_of_the_log_are_shown_without_a_traceback() -> None:
    """The message is not repeated if the Actor wrote it to its log, too."""
    log = (
        "2026-11-26T02:00:00.000Z page 1\n2026-11-26T02:00:01.000Z ERROR no such shop\n\nclosing\n"
    )
    groups = group_failures([make_failed(0, log_end=log)])
    assert failure_lines(make_batch(), groups, "b") == [
        "1 job FAILED: actor me/shop, exit code 1",
        "    no such shop",
        "    log: page 1",
        "    log: closing",
        "    job: job-0",
        "run failed jobs again: orchestrator retry b",
    ]


def test_log_is_shown_of_a_run_that_said_nothing() -> None:
    """Without a message of the run, its log is all that tells the cause."""
    job = make_failed(status=JobStatus.TIMED_OUT, exit_code=None, log_end="page 1\npage 2")
    silent = replace(job, error=f"run {job.run_id} TIMED-OUT")
    assert failure_lines(APIFY, group_failures([silent]), "output/night/1")[1:3] == [
        "    log: page 1",
        "    log: page 2",
    ]


def test_long_message_is_not_repeated_from_the_log() -> None:
    """A line of a log is shortened, and still recognised as the message."""
    said = "no version fits: " + ", ".join(map(str, range(300)))
    (group,) = group_failures([make_failed(0, said, log_end=f"page 1\nACTOR: {said}")])
    lines = failure_lines(APIFY, [group], "output/night/1")
    assert [line for line in lines if "log:" in line] == ["    log: page 1"]


def test_further_causes_are_counted() -> None:
    """A batch with many causes shows the largest groups and the number of the others."""
    groups = group_failures(make_failed(n, said="x" * (n + 1)) for n in range(5))
    lines = failure_lines(APIFY, groups, "b", most=2)
    assert lines[-2] == (
        "… and 3 jobs with 3 other causes: orchestrator status b --json lists them"
    )


def test_folder_with_a_space_is_quoted() -> None:
    """The printed command can be pasted into a shell."""
    lines = failure_lines(APIFY, group_failures([make_failed()]), "my output/b")
    assert lines[-1] == "run failed jobs again: orchestrator retry 'my output/b'"


def test_failures_are_json_too() -> None:
    """Programs get the same groups, without secrets and control characters."""
    SECRETS.add("hush-hush-1234")
    failed = make_failed(4, "no \x1b[2J hush-hush-1234", log_end="a hush-hush-1234 b")
    assert failure_fields(APIFY, group_failures([failed])) == [
        {
            "jobs": 1,
            "status": "FAILED",
            "actor": "me/shop",
            "exit_code": 1,
            "message": "no ?[2J [secret]",
            "example": "job-4",
            "attempts": 1,
            "run_id": "abcdefgh000000004",
            "console_url": "https://console.apify.com/view/runs/abcdefgh000000004",
            "log_end": ["a [secret] b"],
            "traceback_end": None,
        }
    ]
