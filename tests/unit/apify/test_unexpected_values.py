"""Unexpected numbers, times and words in an answer: they count as missing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.apify import models
from orchestrator.apify.http.headers import http_date, whole_number
from orchestrator.apify.models.decoding import read_run, read_runs, reader_of
from orchestrator.apify.policy.rate_limits import Lane
from orchestrator.errors import ServerFault
from tests.support.scripted_transport import reply, run_reply

NINES = "9" * 5000


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("9" * 15, 10**15 - 1),
        ("9" * 16, None),
        (NINES, None),
        ("-1", None),
        ("1.5", None),
        ("\u0661", None),
        ("1_0", None),
        ("", None),
        (None, None),
    ],
)
def test_number_in_a_header_is_read_or_ignored(text: str | None, number: int | None) -> None:
    """A header of any length is read as a number, or ignored."""
    assert whole_number(text) == number


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("Thu, 01 Jan 2026 00:00:00 GMT", datetime(2026, 1, 1, tzinfo=UTC)),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2026 00:00:00 +999999999999", None),
        ("x" * 5000, None),
        (",", None),
        (None, None),
    ],
)
def test_date_in_a_header_is_read_or_ignored(text: str | None, at: datetime | None) -> None:
    """A header of any length is read as a date that a clock can show, or ignored."""
    assert http_date(text) == at


def test_absurd_rate_limit_is_ignored() -> None:
    """A limit of 5,000 digits slows nothing down and causes no error."""
    lane = Lane(60.0)
    lane.learn(NINES)
    assert lane.limit_per_sec == 60.0


@pytest.mark.parametrize(
    "value",
    [12345678901234567890, 1e300, -(2**63) - 1, 1.5, True, "1", [], {}],
    ids=str,
)
def test_invalid_exit_code_counts_as_missing(value: Any) -> None:
    """Only a whole number that fits into the ledger is an exit code."""
    body = run_reply(exitCode=value, options={"memoryMbytes": value}).chunks_[0]
    facts = read_run(body).facts()
    assert (facts.exit_code, facts.memory_mbytes) == (None, None)


@pytest.mark.parametrize("value", ["Infinity", "NaN", "1e999", 1e300, "0" * 50, {}, -5])
def test_cost_that_is_not_an_amount_counts_as_missing(value: Any) -> None:
    """An amount that cannot be summed is not known; one below zero would raise the budget."""
    assert read_run(run_reply(usageTotalUsd=value).chunks_[0]).facts().cost_usd is None


@pytest.mark.parametrize(
    "value", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "soon"]
)
def test_time_far_away_counts_as_missing(value: str) -> None:
    """Sums with such a time would overflow."""
    body = run_reply(finishedAt=value).chunks_[0]
    assert read_run(body).facts().finished_at is None
    listed = b'{"data":{"items":[{"id":"r","finishedAt":"%s"}]}}' % value.encode()
    (item,) = read_runs(listed).items
    assert item.finished_at is None


@pytest.mark.parametrize("number", ["1e400", NINES, "Infinity", "-Infinity", "NaN"])
def test_invalid_limit_of_an_account_counts_as_missing(number: str) -> None:
    """The rest of the answer is read."""
    body = f'{{"data":{{"limits":{{"maxConcurrentActorJobs":{number},"dataRetentionDays":7}}}}}}'
    try:
        limits = reader_of(lambda: models.AccountLimits)(body.encode()).limits
    except ServerFault:
        # What is not JSON is not an answer, and is requested again.
        return
    assert limits is not None
    assert (limits.max_concurrent_actor_jobs, limits.data_retention_days) == (None, 7)


@pytest.mark.parametrize("word", ["a\nb", "\x1b[2J", "\u202e", "x" * 1000, "", 7, None])
def test_id_that_is_not_a_word_counts_as_missing(word: Any) -> None:
    """A value that cannot be printed is not an id; such a status counts as missing."""
    with pytest.raises(ServerFault, match="no run with an id"):
        read_run(reply(body={"data": {"id": word}}).chunks_[0])
    reported = {"id": "r", "status": word, "defaultDatasetId": word}
    run = read_run(reply(body={"data": reported}).chunks_[0])
    assert (run.status, run.default_dataset_id) == ("", "")
