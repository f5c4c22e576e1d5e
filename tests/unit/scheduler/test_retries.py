from __future__ import annotations

import json
import time
from typing import Any

import pytest

from orchestrator.model.attempts import Attempt, Outcome, make_mark, sent_job
from orchestrator.model.ids import Mark, RunId
from orchestrator.model.jobs import JobInput, RunOptions
from orchestrator.model.rules import NO_REMEDY, Action, Remedy, Rule
from orchestrator.model.states import AttemptState, JobStatus
from orchestrator.scheduler.decide.retries import (
    SETTLED,
    LogNeeded,
    Verdict,
    decide,
    outcome_of_refusal,
    outcome_of_run,
)
from tests.support.builders import NOON, make_job, make_run

FAILED = Outcome(status=JobStatus.FAILED, error="it failed")
FAILED_RUN = make_run(status="FAILED", exit_code=3, status_message="Shop says: Try again LATER")


def attempt(number: int = 1, *rules: Rule, remedy: Remedy = NO_REMEDY, **fields: Any) -> Attempt:
    return Attempt(
        job=make_job(rules=rules, **fields),
        number=number,
        send=1,
        mark=Mark("m.0.1.1"),
        state=AttemptState.FINISHED,
        intent_at=NOON,
        remedy=remedy,
    )


def verdict(of: Attempt, outcome: Outcome = FAILED, **given: Any) -> Verdict:
    return decide(
        of, outcome, given.pop("run", FAILED_RUN), jitter=given.pop("jitter", 1.0), **given
    )


def test_outcome_of_a_succeeded_run_has_no_error() -> None:
    """A job whose run succeeded has succeeded."""
    assert outcome_of_run(make_run()) == Outcome(status=JobStatus.SUCCEEDED)


def test_outcome_of_a_failed_run_has_its_code_and_message() -> None:
    """The error names the run, its status, its exit code and its message."""
    run = make_run(status="FAILED", exit_code=3, status_message="no such shop")
    outcome = outcome_of_run(run)
    assert outcome.status is JobStatus.FAILED
    assert outcome.error == "run run1 FAILED with exit code 3: no such shop"


def test_run_of_an_unknown_status_has_ended_if_it_has_an_end_time() -> None:
    """A status of a newer platform is not a success: the job fails, and the error names it."""
    assert not make_run(status="PAUSED", finished_at=None).is_terminal
    assert not make_run(status="RUNNING").is_terminal
    run = make_run(status="EVICTED")
    assert run.is_terminal
    outcome = outcome_of_run(run)
    assert outcome.status is JobStatus.FAILED
    assert outcome.error is not None
    assert "run run1 EVICTED: this version does not know that status" in outcome.error


def test_refused_start_is_not_retried() -> None:
    """A start that the platform refuses for good would be refused again."""
    outcome = outcome_of_refusal("input.url is missing")
    assert verdict(attempt(retries=5), outcome, run=None) == SETTLED


@pytest.mark.parametrize(
    ("number", "jitter", "expected"),
    [(1, 1.0, 2.0), (1, 0.0, 1.0), (3, 1.0, 8.0), (9, 1.0, 120.0)],
)
def test_delay_doubles_up_to_its_maximum(number: int, jitter: float, expected: float) -> None:
    """The delay doubles after each attempt, half of it at random, up to a maximum."""
    assert verdict(attempt(number, retries=99), jitter=jitter).delay_secs == expected


def test_no_attempt_follows_when_the_retries_are_used_up() -> None:
    """A job with one retry gets two attempts."""
    assert verdict(attempt(1, retries=1)).delay_secs is not None
    assert verdict(attempt(2, retries=1)) == SETTLED


def test_run_that_someone_aborted_is_not_retried() -> None:
    """Someone decided to abort it, unless we aborted it because it took too long."""
    outcome = Outcome(status=JobStatus.ABORTED, error="aborted")
    ours = Outcome(status=JobStatus.ABORTED, error="aborted", is_aborted_by_us=True)
    assert verdict(attempt(retries=3), outcome) == SETTLED
    assert verdict(attempt(retries=3), ours).delay_secs is not None


@pytest.mark.parametrize(
    "rule",
    [
        Rule(do=Action.GIVE_UP, status=("FAILED", "TIMED-OUT")),
        Rule(do=Action.GIVE_UP, exit_code=(1, 3)),
        Rule(do=Action.GIVE_UP, message=("nothing", "try * later")),
        Rule(do=Action.GIVE_UP, status=("FAILED",), exit_code=(3,), message=("*shop*",)),
        Rule(do=Action.GIVE_UP, log=("out of m?mory",)),
    ],
)
def test_rule_applies_if_all_its_conditions_hold(rule: Rule) -> None:
    """Status, exit code, message and the end of the log are enough, each alone or all together."""
    log = "a line\nERROR: Out of memory at 7\n"
    assert verdict(attempt(1, rule, retries=9), log_end=log) == SETTLED


@pytest.mark.parametrize(
    "rule",
    [
        Rule(do=Action.GIVE_UP, status=("TIMED-OUT",)),
        Rule(do=Action.GIVE_UP, exit_code=(4,)),
        Rule(do=Action.GIVE_UP, status=("FAILED",), message=("no such shop",)),
        Rule(do=Action.GIVE_UP, log=("first*second",)),
    ],
)
def test_rule_does_not_apply_if_one_condition_fails(rule: Rule) -> None:
    """All given conditions must hold; a pattern is searched within each line of the log."""
    end = verdict(attempt(1, rule, retries=9), log_end="first\nsecond")
    assert end.delay_secs is not None


def test_first_matching_rule_wins() -> None:
    """Rules are checked in their order."""
    rules = (Rule(status=("TIMED-OUT",)), Rule(exit_code=(3,), max=1), Rule(max=9))
    assert verdict(attempt(1, *rules)) == SETTLED


def test_rule_allows_its_own_number_of_attempts() -> None:
    """`max` counts all attempts of the job, including the first, and overrides `retries`."""
    rule = Rule(max=3)
    assert verdict(attempt(2, rule)).delay_secs is not None
    assert verdict(attempt(3, rule, retries=9)) == SETTLED


def test_log_is_read_only_if_the_rest_of_a_rule_holds() -> None:
    """No log is read for a rule that cannot match."""
    out_of_memory = Rule(status=("TIMED-OUT",), log=("x",))
    assert verdict(attempt(1, out_of_memory)) == SETTLED
    with pytest.raises(LogNeeded):
        verdict(attempt(1, Rule(status=("FAILED",), log=("x",))))


@pytest.mark.parametrize(
    "pattern",
    ["a*" * 40 + "b", "*?" * 40 + "b", "*[a-c]" * 40 + "*d", ("a" * 30 + "*") * 40 + "b"],
    ids=["letters", "question marks", "sets", "words"],
)
def test_pattern_with_many_stars_matches_in_linear_time(pattern: str) -> None:
    """A rule cannot delay a batch, whatever its pattern and the log are."""
    log = "a" * 65_536
    began = time.process_time()
    failed = attempt(1, Rule(log=(pattern,), do=Action.GIVE_UP), retries=1)
    assert verdict(failed, FAILED, log_end=log).delay_secs is not None
    assert time.process_time() - began < 1.0


def test_rule_sets_the_backoff() -> None:
    """The delay of a rule replaces the usual one, also beyond the usual maximum."""
    rule = Rule(backoff_secs=600.0, max=9)
    assert verdict(attempt(1, rule)).delay_secs == 600.0
    assert verdict(attempt(1, Rule(backoff_secs=0.0, max=9))).delay_secs == 0.0


@pytest.mark.parametrize(
    ("rule", "had", "most", "gets"),
    [
        (Rule(memory_factor=2.0, max=9), 1024, None, 2048),
        (Rule(memory_factor=1.5, max=9), 1024, None, 2048),
        (Rule(memory_factor=8.0, max=9, max_memory_mbytes=4096), 1024, None, 4096),
        (Rule(memory_factor=8.0, max=9), 8192, None, 32768),
        (Rule(memory_factor=2.0, max=9), 4096, 6000, 4096),
    ],
)
def test_rule_gives_more_memory_up_to_its_caps(
    rule: Rule, had: int, most: int | None, gets: int
) -> None:
    """Memory grows to the next power of two; the rule, the platform and the batch limit it."""
    run = make_run(status="FAILED", memory_mbytes=had)
    end = verdict(attempt(1, rule), run=run, most_memory_mbytes=most)
    assert end.remedy.memory_mbytes == gets


def test_remedies_add_up() -> None:
    """A second rule keeps the changes of the first."""
    rule = Rule(timeout_factor=2.0, build="beta", max=9)
    before = Remedy(memory_mbytes=4096)
    run = make_run(status="TIMED-OUT", memory_mbytes=4096, timeout_secs=60)
    remedy = verdict(attempt(2, rule, remedy=before), run=run).remedy
    assert remedy == Remedy(memory_mbytes=4096, timeout_secs=120, build="beta")


def test_resurrection_names_the_run_and_how_often_it_was_resurrected() -> None:
    """The earlier count shows later whether a resurrection had an effect."""
    run = make_run(status="FAILED", resurrect_count=2)
    remedy = verdict(attempt(1, Rule(do=Action.RESURRECT, max=9)), run=run).remedy
    assert remedy == Remedy(resurrects=RunId("run1"), resurrect_count=2)


def test_rule_stops_the_batch() -> None:
    """The job is settled, and no further job starts."""
    assert verdict(attempt(1, Rule(do=Action.STOP_BATCH))) == Verdict(stops_batch=True)


def test_attempt_starts_with_its_remedy_over_the_options_of_its_job() -> None:
    """Options that a rule does not change stay those of the job."""
    options = RunOptions(memory_mbytes=512, timeout_secs=60, build="latest", max_items=7)
    started = attempt(2, options=options, remedy=Remedy(memory_mbytes=1024)).options
    assert started == RunOptions(memory_mbytes=1024, timeout_secs=60, build="latest", max_items=7)


def test_mark_names_batch_job_attempt_and_send() -> None:
    """Two sends of one attempt have different marks."""
    assert make_mark("abc", 1295, 2, 1, "wxyz") == "abc.zz.2.1wxyz"
    assert make_mark("abc", 0, 1, 2) == "abc.0.1.2"


def test_rules_change_the_input_field_by_field() -> None:
    """Each rule replaces its own fields for all later attempts; the last one wins."""
    first = Rule(input='{"proxy": "dear", "speed": 1}', status=("FAILED",), max=3)
    one = verdict(attempt(1, first, input=JobInput(body=b'{"url": "x", "proxy": "cheap"}')))
    assert one.remedy.input == '{"proxy": "dear", "speed": 1}'
    second = Rule(input='{"speed": 2}', max=3)
    two = verdict(attempt(2, second, remedy=one.remedy))
    assert json.loads(two.remedy.input or "") == {"proxy": "dear", "speed": 2}


def test_attempt_sends_the_changed_input() -> None:
    """An attempt's input is that of its job with the fields of its remedy; secrets stay late."""
    given = JobInput(
        body=b'{"url":"{{ env.URL }}","proxy":"{{ env.PROXY }}"}',
        late_paths=(("url",), ("proxy",)),
    )
    sent = sent_job(make_job(input=given), Remedy(input='{"proxy": ["dear"]}')).input
    assert sent.body == b'{"url":"{{ env.URL }}","proxy":["dear"]}'
    assert (sent.late_paths, sent.size_bytes) == ((("url",),), 40)
    assert sent_job(make_job(input=JobInput()), Remedy(input='{"a": 1}')).input.body == b'{"a":1}'
