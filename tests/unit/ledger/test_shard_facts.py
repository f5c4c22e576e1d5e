"""What processes that share a batch may take, and what happens to those that die."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import LedgerAway
from orchestrator.group_worker import Work
from orchestrator.ledger import Ledger, LedgerReader, create_ledger, location
from orchestrator.ledger.claims import MONEY, RUNS, Refused, Share
from orchestrator.ledger.expansion_facts import Place, TakeNew
from orchestrator.ledger.postgres.connection_rows import statement
from orchestrator.ledger.postgres.deployment import connect as open_connection
from orchestrator.ledger.postgres.ledger_session import PostgresSession
from orchestrator.ledger.store import LeaseLost
from orchestrator.ledger.transactions import commit_group
from orchestrator.model.attempts import Attempt, Outcome, mark_stem
from orchestrator.model.batches import PoolLimits
from orchestrator.model.jobs import Job
from orchestrator.model.rules import Remedy
from orchestrator.model.shard import Shard
from orchestrator.model.states import AttemptState, JobStatus
from tests.support.builders import NOON, make_batch, make_job, make_run
from tests.unit.ledger.controllers import SHARE, SHORT, Controllers, intend

ROWS_READ = (
    b"SELECT SUM(COALESCE(seq_tup_read, 0) + COALESCE(idx_tup_fetch, 0)) AS rows_read "
    b"FROM pg_stat_xact_user_tables WHERE relname IN ('all_attempts', 'all_jobs') "
    b"AND schemaname = current_schema()"
)


@pytest.fixture(autouse=True)
def _in_postgres(postgres_schema: str) -> Iterator[None]:
    location.configure(postgres_schema)
    yield
    location.configure(None)


class HeldWorker:
    """A worker that performs nothing until it is released, and then all as one group."""

    def __init__(self) -> None:
        self._held: list[Work] = []

    def submit(self, perform: Callable[[], Any]) -> Awaitable[Any]:
        """Hands in a function."""
        future = asyncio.get_running_loop().create_future()
        self._held.append(Work(perform, future))
        return future

    def release(self, perform_group: Callable[[list[Work]], None]) -> None:
        """Performs what was handed in."""
        perform_group(self._held)
        for work in self._held:
            work.hand_back()


def one_job(_take_new: TakeNew, place: Place) -> list[Job | str]:
    """What a source gives."""
    return [make_job(place(), key="a")]


async def test_job_is_taken_by_one_process(controllers: Controllers) -> None:
    """The second one learns that the job is another's, and nothing is written."""
    first, second = await controllers.join(), await controllers.join()
    assert isinstance(await intend(first, 0), Attempt)
    assert await intend(second, 0) == Refused(limit=None)
    news = await first.news(0)
    assert (news.runs, news.has_work, news.halt_kind) == (1, True, None)


@pytest.mark.parametrize(
    ("share", "limit"),
    [
        (SHARE, RUNS),
        (replace(SHARE, max_runs=9, max_memory_mbytes=600), "memory"),
        (replace(SHARE, max_runs=9, reserve_usd=Decimal("0.4"), max_cost_usd=Decimal(1)), MONEY),
        (
            replace(SHARE, max_runs=9, pools=("a",), pool_limits={"a": PoolLimits(max_runs=2)}),
            "pool a",
        ),
        (
            replace(
                SHARE, max_runs=9, pools=("a",), pool_limits={"a": PoolLimits(starts_per_minute=2)}
            ),
            "pool a",
        ),
    ],
    ids=["runs", "memory", "money", "runs of a pool", "starts of a pool"],
)
async def test_limit_holds_for_all_processes_together(
    controllers: Controllers, share: Share, limit: str
) -> None:
    """Two fit, whoever starts them; the third is refused and may be tried again later."""
    first, second = await controllers.join(), await controllers.join()
    one = await intend(first, 0, share=share)
    assert isinstance(one, Attempt)
    assert isinstance(await intend(second, 1, share=share), Attempt)
    refused = await intend(first, 2, share=share)
    assert isinstance(refused, Refused)
    assert refused.limit == limit
    if "starts" not in str(refused.reason):
        await first.withdraw_intent(one)
        assert isinstance(await intend(second, 2, share=share), Attempt)


async def test_cost_replaces_the_reservation_when_it_is_final(controllers: Controllers) -> None:
    """A run that cost less than was reserved for it leaves room for another one."""
    ledger = await controllers.join()
    await ledger.set_costs_settle_secs(0)
    share = replace(SHARE, reserve_usd=Decimal("0.6"), max_cost_usd=Decimal(1))
    attempt = await intend(ledger, 0, share=share)
    assert isinstance(attempt, Attempt)
    run = make_run(cost_usd=Decimal("0.1"))
    await ledger.mark_started(attempt, run)
    assert isinstance(await intend(ledger, 1, share=share), Refused)
    await ledger.mark_finished(attempt, run, ended_at=NOON)
    assert isinstance(await intend(ledger, 1, share=share), Attempt)


async def test_resurrected_run_takes_its_cost_once(controllers: Controllers) -> None:
    """The platform reports the cost of all lives of a run: the budget counts it once."""
    ledger = await controllers.join()
    await ledger.set_costs_settle_secs(0)
    share = replace(SHARE, reserve_usd=Decimal("0.4"), max_cost_usd=Decimal(1))
    run = make_run(cost_usd=Decimal("0.3"))
    first = await intend(ledger, 0, share=share)
    assert isinstance(first, Attempt)
    await ledger.mark_started(first, run)
    await ledger.mark_finished(first, run, ended_at=NOON)
    failed, remedy = Outcome(status=JobStatus.FAILED), Remedy(resurrects=run.id)
    await ledger.mark_over(first, failed, ready_at=0.0, remedy=remedy)
    again = await intend(ledger, 0, 2, share=share)
    assert isinstance(again, Attempt)
    assert isinstance(await intend(ledger, 1, share=share), Refused)
    await ledger.mark_started(again, run)
    await ledger.mark_finished(again, run._replace(cost_usd=Decimal("0.6")), ended_at=NOON)
    await ledger.record_costs({run.id: Decimal("0.6")}, NOON)
    assert isinstance(await intend(ledger, 1, share=share), Attempt)


async def test_costs_that_are_final_by_now_are_listed(controllers: Controllers) -> None:
    """Also those of another process; not before they are final, and not once they are known."""
    dead, ledger = await controllers.join(SHORT), await controllers.join()
    await ledger.set_costs_settle_secs(120)
    attempt = await intend(dead, 0)
    assert isinstance(attempt, Attempt)
    run = make_run(cost_usd=Decimal("0.1"))
    await dead.mark_started(attempt, run)
    await dead.mark_finished(attempt, run, ended_at=NOON)
    assert await ledger.due_costs(NOON + timedelta(seconds=119)) == []
    final_at = NOON + timedelta(seconds=120)
    assert await ledger.due_costs(final_at) == [run.id]
    await ledger.record_costs({run.id: Decimal("0.2")}, final_at)
    assert await ledger.due_costs(final_at) == []


async def test_attempts_of_a_dead_process_are_stolen_once(controllers: Controllers) -> None:
    """Another process continues them; the dead one, if it wakes up, can write nothing more."""
    dead = await controllers.join(SHORT)
    attempt = await intend(dead, 0)
    assert isinstance(attempt, Attempt)
    first, second = await controllers.join(), await controllers.join()
    (stolen,) = await first.steal()
    assert (stolen.mark, stolen.state) == (attempt.mark, AttemptState.INTENT)
    assert await second.steal() == []
    with pytest.raises(LeaseLost):
        await dead.mark_started(attempt, make_run())
    assert await intend(second, 0) == Refused(limit=None)


async def test_home_of_a_job_depends_on_its_key_alone(tmp_path: Path) -> None:
    """A job has the same home at another place of the spec, and the homes are about as many."""
    homes = []
    for name, order in (("one", 1), ("other", -1)):
        (tmp_path / name).mkdir()
        jobs = [make_job(seq, key=f"job-{seq * order % 60}") for seq in range(60)]
        create_ledger(tmp_path / name / "ledger.sqlite", make_batch(id_=name), jobs)
        with LedgerReader(tmp_path / name / "ledger.sqlite") as reader:
            homes.append({jobs[job.seq].key: job.home for job in reader.waiting()})
    assert homes[0] == homes[1]
    shards = [Shard(number=number, of=3) for number in (1, 2, 3)]
    own = Counter(one for one in shards for home in homes[0].values() if not one.rank_offset(home))
    assert own.total() == 60
    assert min(own.values()) >= 10


async def test_process_with_a_lease_keeps_its_attempts(controllers: Controllers) -> None:
    """A lease lasts, and each transaction renews it."""
    first, second = await controllers.join(), await controllers.join()
    await intend(first, 0)
    assert await second.steal() == []
    await first.leave_batch()
    assert len(await second.steal()) == 1


async def test_changes_of_others_are_listed(controllers: Controllers) -> None:
    """A job that another process settles, and one that it gives back."""
    first, second = await controllers.join(), await controllers.join()
    since = (await second.news(0)).since
    attempt = await intend(first, 3)
    assert isinstance(attempt, Attempt)
    (change,) = (await second.news(since)).changes
    assert (change.seq, change.status, change.waiting) == (3, JobStatus.WAITING, None)
    outcome = Outcome(status=JobStatus.FAILED, error="refused")
    await first.mark_over(attempt, outcome, state=AttemptState.FAILED)
    (change,) = (await second.news(since)).changes
    assert (change.status, change.error) == (JobStatus.FAILED, "refused")
    assert (await first.news(since)).changes == []


async def test_new_jobs_of_items_are_news_with_what_has_made_them(
    controllers: Controllers,
) -> None:
    """Another process learns of the expansion and of its jobs, and may start these."""
    one, other = await controllers.join(), await controllers.join()
    since = (await other.news(0)).since
    made = await one.expand("s", 0, one_job, most_jobs=9)
    news = await other.news(since, 0)
    assert news.expansions == [made]
    assert [(change.seq, change.waiting is not None) for change in news.changes] == [(6, True)]
    assert isinstance(await intend(other, 6), Attempt)


async def test_jobs_of_items_may_be_kept_until_earlier_results_are_found(
    controllers: Controllers,
) -> None:
    """Nobody starts a job while its process looks for results that it may take."""
    one, other = await controllers.join(), await controllers.join()
    made = await one.expand("s", 0, one_job, most_jobs=9, holds=True)
    assert await intend(other, 6) == Refused(limit=None)
    assert made is not None
    await one.free_added(made)
    assert isinstance(await intend(other, 6), Attempt)


async def test_sources_of_processes_that_have_left_are_named(controllers: Controllers) -> None:
    """Only their items are for others to expand: those of a live process are not."""
    one, other = await controllers.join(), await controllers.join(SHORT)
    for ledger, seq in ((one, 0), (other, 1)):
        attempt = await intend(ledger, seq)
        assert isinstance(attempt, Attempt)
        succeeded = Outcome(status=JobStatus.SUCCEEDED)
        await ledger.mark_over(attempt, succeeded, state=AttemptState.FAILED)
    third = await controllers.join()
    assert await third.left_sources([0, 1]) == []
    await third.steal()
    assert await third.left_sources([0, 1]) == [1]
    await one.leave_batch()
    assert await third.left_sources([0, 1]) == [0, 1]


async def test_claim_whose_answer_was_lost_is_found_in_the_ledger(
    controllers: Controllers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks just after the commit: the job is this process's, with its mark."""
    ledger, other = await controllers.join(), await controllers.join()
    owned = PostgresSession.owned
    breaks = [True]

    @contextmanager
    def broken(self: PostgresSession) -> Iterator[None]:
        with owned(self):
            yield
        if breaks and breaks.pop():
            self.confirm()
            self._claims.answers.clear()
            self._connection.close()
            raise LedgerAway("the answer to the commit was lost")

    monkeypatch.setattr(PostgresSession, "owned", broken)
    attempt = await intend(ledger, 0)
    monkeypatch.undo()
    assert isinstance(attempt, Attempt)
    assert attempt.mark.startswith(mark_stem(ledger.batch.mark, 0, 1))
    assert await intend(other, 0) == Refused(limit=None)
    assert (await other.news(0)).runs == 1


async def test_claims_of_one_transaction_count_together(controllers: Controllers) -> None:
    """Of three that one commit makes, two fit into a limit of two, in their order."""
    db, worker = controllers.connect(), HeldWorker()
    ledger = Ledger(db, worker)
    claims = [
        ledger.intend(seq, 1, NOON, SHARE, platform_at=None, caps_itself=True) for seq in (4, 1, 2)
    ]
    worker.release(partial(commit_group, db))
    first, second, third = [await claim for claim in claims]
    assert isinstance(first, Attempt)
    assert isinstance(second, Attempt)
    assert [first.job.seq, second.job.seq] == [4, 1]
    assert third == Refused(limit=RUNS, reason="2 of 2 runs")


async def test_claim_reads_few_rows_however_many_there_are(tmp_path: Path) -> None:
    """What a claim costs does not grow with the runs in progress, nor with the jobs that wait."""
    many = Controllers(tmp_path, 600)
    ledger = await many.join()
    share = replace(SHARE, max_runs=1000)
    for seq in range(299):
        await intend(ledger, seq, share=share)
    address = location.configured_address()
    assert address is not None
    last = {"seq": 299, "number": 1, "mark": "m", "word": "w", "share": 1}
    last |= {"intent_at": NOON.isoformat(), "caps_itself": 1}
    limits = {"mbytes": 1, "max_runs": 1000}
    with closing(open_connection(address)) as connection:
        # The server may have taken its statistics while other tests had a few jobs there.
        connection.execute("ANALYZE")
    with closing(open_connection(address)) as connection, connection.transaction():
        connection.execute(statement("choose_batch"), {"id": make_batch().id})
        values = {"owner": "another", "wanted": json.dumps([last]), "shares": json.dumps([limits])}
        claimed = connection.execute(statement("claim_jobs"), values).fetchall()
        read = connection.execute(ROWS_READ).fetchall()
    assert [row["next_mark"] for row in claimed] == ["m1w"]
    assert read[0]["rows_read"] < 10
    many.close()
