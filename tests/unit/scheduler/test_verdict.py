from __future__ import annotations

from orchestrator.model.attempts import Attempt, Outcome
from orchestrator.model.ids import Mark, RunId
from orchestrator.model.rules import Action, Remedy, Rule
from orchestrator.model.states import AttemptState, JobStatus
from orchestrator.scheduler.decide.retries import Verdict
from orchestrator.scheduler.verdict import verdict_of
from tests.support.builders import NOON, make_job, make_run
from tests.support.scheduler_parts import make_parts
from tests.support.scripted_transport import ScriptedTransport, client_of, refused, run_reply
from tests.support.virtual_time import run_virtual


def test_count_of_resurrections_is_read_again_after_an_unexpected_refusal() -> None:
    """A resumed batch reads the count again; one unexpected answer does not leave it unknown."""
    attempt = Attempt(
        job=make_job(rules=(Rule(do=Action.RESURRECT, max=9),)),
        number=1,
        send=1,
        mark=Mark("m.0.1.1"),
        state=AttemptState.FINISHED,
        intent_at=NOON,
    )
    outcome = Outcome(status=JobStatus.FAILED, error="it failed")
    answers = refused(404, "record-not-found"), run_reply(stats={"resurrectCount": 2})

    async def scenario() -> Verdict:
        async with client_of(ScriptedTransport(*answers)) as client:
            return await verdict_of(
                make_parts(client=client), attempt, outcome, make_run(status="FAILED")
            )

    assert run_virtual(scenario).remedy == Remedy(resurrects=RunId("run1"), resurrect_count=2)
