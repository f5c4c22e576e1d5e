"""Which shard a call is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from orchestrator.cli.shard_option import due_time_of_job, shard_of
from orchestrator.errors import UsageError


@pytest.mark.parametrize(
    ("given", "environment", "shard"),
    [
        ("2/4", {"ORCHESTRATOR_SHARD": "1/9"}, "2/4"),
        (None, {"ORCHESTRATOR_SHARD": "3/9"}, "3/9"),
        (None, {"JOB_COMPLETION_INDEX": "0", "ORCHESTRATOR_SHARDS": "4"}, "1/4"),
        (None, {"JOB_COMPLETION_INDEX": "6"}, "7/7"),
        (
            None,
            {
                "SLURM_ARRAY_TASK_ID": "12",
                "SLURM_ARRAY_TASK_MIN": "10",
                "SLURM_ARRAY_TASK_COUNT": "5",
            },
            "3/5",
        ),
        (None, {}, None),
    ],
    ids=["option", "variable", "kubernetes", "kubernetes, number unknown", "slurm", "alone"],
)
def test_shard_comes_from_the_option_or_the_engine(
    given: str | None, environment: dict[str, str], shard: str | None
) -> None:
    """The option wins; engines count from another number."""
    found = shard_of(given, environment, has_server=True)
    assert (None if found is None else str(found)) == shard


def test_index_of_an_engine_means_nothing_without_a_server() -> None:
    """A job of Kubernetes may run a batch whose ledger is a file."""
    assert shard_of(None, {"JOB_COMPLETION_INDEX": "1"}, has_server=False) is None


@pytest.mark.parametrize("text", ["$(INDEX)", "-1", "1.0"])
def test_index_that_is_no_number_is_refused(text: str) -> None:
    """A process that does not know which shard it is would make a batch of its own."""
    with pytest.raises(UsageError, match="JOB_COMPLETION_INDEX: expected a whole number from 0"):
        shard_of(None, {"JOB_COMPLETION_INDEX": text}, has_server=True)
    assert shard_of(None, {"JOB_COMPLETION_INDEX": ""}, has_server=True) is None


@pytest.mark.parametrize(
    ("text", "has_server", "words"),
    [
        ("0/4", True, "expected K/N"),
        ("5/4", True, "expected K/N"),
        ("2", True, "expected K/N"),
        ("1/2", False, "add --ledger postgresql://"),
    ],
)
def test_shard_that_makes_no_sense_is_refused(text: str, words: str, *, has_server: bool) -> None:
    """Also a shard without a ledger that all shards can reach."""
    with pytest.raises(UsageError, match=words):
        shard_of(text, {}, has_server=has_server)


def test_shard_of_a_variable_needs_a_server_too() -> None:
    """Whatever starts the process meant several to share a batch, which a file cannot."""
    with pytest.raises(UsageError, match="ORCHESTRATOR_SHARD needs a ledger that all shards"):
        shard_of(None, {"ORCHESTRATOR_SHARD": "1/2"}, has_server=False)


@pytest.mark.parametrize(
    ("name", "due"),
    [
        ("orchestrator-nightly-29400615", datetime(2025, 11, 25, 2, 15, tzinfo=UTC)),
        ("orchestrator-nightly-by-hand", None),
        ("", None),
    ],
    ids=["made by a CronJob", "made by hand", "no Job"],
)
def test_time_of_a_cron_job_is_in_the_name_of_its_job(name: str, due: datetime | None) -> None:
    """Kubernetes puts the minutes since 1970 at the end of the name."""
    assert due_time_of_job({"ORCHESTRATOR_JOB_NAME": name}) == due
