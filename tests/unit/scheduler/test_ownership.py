from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.model.attempts import Attempt
from orchestrator.model.ids import Mark, RunId
from orchestrator.model.rules import Remedy
from orchestrator.model.runs import Run
from orchestrator.model.states import AttemptState
from orchestrator.scheduler.decide.ownership import UNKNOWN_TIME, mismatch
from tests.support.builders import NOON, make_job, make_run

ATTEMPT = Attempt(
    job=make_job(),
    number=1,
    send=1,
    mark=Mark("batch.0.1.1word"),
    state=AttemptState.INTENT,
    intent_at=NOON,
    platform_at=NOON,
)
OURS = "orchestrator/1 (attempt batch.0.1.1word)"


@pytest.mark.parametrize(
    "run",
    [
        make_run(user_agent=OURS),
        make_run(user_agent=None),
        make_run(user_agent="orchestrator/1 (attempt batch.0.1."),
        make_run(started_at=NOON - timedelta(seconds=59)),
        make_run(started_at=UNKNOWN_TIME),
    ],
    ids=["our-mark", "no-agent", "cut-agent", "a-little-early", "no-start"],
)
def test_answer_is_accepted(run: Run) -> None:
    """A run that may be this start's is accepted, also if its user agent is hidden or cut."""
    assert mismatch(ATTEMPT, run, set()) is None


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (make_run("taken"), "another attempt has"),
        (make_run(started_at=NOON - timedelta(seconds=61)), "began before the start was sent"),
        (make_run(user_agent=OURS.replace("0.1.1word", "0.1.1other")), "mark of another start"),
    ],
    ids=["taken", "old", "other-mark"],
)
def test_answer_of_another_start_is_refused(run: Run, said: str) -> None:
    """A run of another attempt, an older one, or one with another mark is not ours."""
    reason = mismatch(ATTEMPT, run, {RunId("taken")})
    assert reason is not None
    assert said in reason


def test_age_of_a_run_is_not_judged_without_the_platforms_clock() -> None:
    """Our clock may be wrong by days: only times of the platform's clock are compared."""
    old = make_run(started_at=NOON - timedelta(days=2))
    assert mismatch(replace(ATTEMPT, platform_at=None), old, set()) is None


def test_answer_to_a_resurrection_names_its_run() -> None:
    """A resurrected run is old, taken and has the mark of its first start: only its id counts."""
    again = replace(ATTEMPT, remedy=Remedy(resurrects=RunId("taken")))
    old = make_run("taken", started_at=NOON - timedelta(days=2), user_agent="x (attempt a.0.1.1)")
    assert mismatch(again, old, {RunId("taken")}) is None
    assert mismatch(again, make_run("other"), {RunId("taken")}) == "the answer is about run other"
