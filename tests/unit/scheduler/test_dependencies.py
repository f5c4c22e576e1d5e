"""Jobs that need others which are still to be made of items."""

from __future__ import annotations

from orchestrator.model.item_sweeps import Expansion, ItemSweep, Sources
from orchestrator.model.states import JobStatus
from orchestrator.scheduler.decide.dependencies import Consequences, Dependencies
from orchestrator.scheduler.decide.item_needs import ItemNeeds
from orchestrator.scheduler.decide.lane import QueuedJob
from orchestrator.specfile.jobs.needed_jobs import makers_of
from tests.unit.scheduler.scripted_platform import place

WAITING, SUCCEEDED, FAILED = JobStatus.WAITING, JobStatus.SUCCEEDED, JobStatus.FAILED
REPORT = 2


def chain(needs: tuple[str, ...]) -> Dependencies:
    """A report, and two searches whose rows are shops, whose rows are goods."""
    sweeps = [
        ItemSweep(name=name, needs=(wanted,), demand=None, definition="{}")  # type: ignore[arg-type] # not read here
        for name, wanted in (("shop-{{ n }}", "search-*"), ("good-{{ n }}", "shop-*"))
    ]
    keys = {0: "search-a", 1: "search-b", REPORT: "report"}
    job: QueuedJob = place(REPORT)
    items = ItemNeeds(Sources(sweeps), {needs: makers_of(needs, sweeps)})
    return Dependencies(
        {needs: []}, [(job, needs)], dict.fromkeys(keys, WAITING), items=items, keys=keys
    )


class CountedSources(Sources):
    """Counts how often it is asked what a job gives to which sweeps."""

    asked = 0

    def waiting(self, seq: int, key: str) -> list[ItemSweep]:
        """The sweeps that need the items of a job and have not taken them."""
        self.asked += 1
        return super().waiting(seq, key)


def made(source: int, seq: int, key: str, sweep: str = "shop-{{ n }}") -> tuple[Expansion, list]:
    """One job of the items of another one."""
    return Expansion(sweep=sweep, source=source, first_seq=seq, jobs=1), [(seq, key, WAITING)]


def released(consequences: Consequences) -> list[int]:
    """The places of jobs that may start."""
    return [job.seq for job in consequences.released]


def test_job_waits_for_the_last_step_of_a_chain() -> None:
    """Goods are complete when all shops are, of all searches, and have become goods."""
    jobs = chain(("good-*",))
    assert released(jobs.begin()) == []
    jobs.settled(0, SUCCEEDED)
    jobs.expanded(*made(0, 3, "shop-1"))
    jobs.settled(1, SUCCEEDED)
    none = Expansion(sweep="shop-{{ n }}", source=1, first_seq=4, jobs=0)
    assert released(jobs.expanded(none, [])) == []
    jobs.settled(3, SUCCEEDED)
    assert released(jobs.expanded(*made(3, 4, "good-1", "good-{{ n }}"))) == []
    assert released(jobs.settled(4, SUCCEEDED)) == [REPORT]


def test_job_is_skipped_when_a_step_of_a_chain_fails() -> None:
    """A shop that failed leaves out goods, and the reason names it."""
    jobs = chain(("good-*",))
    jobs.settled(0, SUCCEEDED)
    jobs.expanded(*made(0, 3, "shop-1"))
    (skipped,) = jobs.settled(3, FAILED).skipped
    assert (skipped.seq, skipped.needed) == (REPORT, 3)
    assert skipped.reason == "it needs jobs of the items of {job}, which is FAILED"


def test_further_steps_concern_no_job_that_does_not_need_them() -> None:
    """A report of the shops does not wait for goods."""
    jobs = chain(("shop-*",))
    for seq in (0, 1):
        jobs.settled(seq, SUCCEEDED)
        jobs.expanded(*made(seq, seq + 3, f"shop-{seq}"))
    assert released(jobs.settled(3, SUCCEEDED)) == []
    assert released(jobs.settled(4, SUCCEEDED)) == [REPORT]


def test_own_items_are_no_condition() -> None:
    """A report whose items become shops, too, starts before that."""
    sweep = ItemSweep(name="shop-{{ n }}", needs=("*",), demand=None, definition="{}")  # type: ignore[arg-type] # not read here
    needs = ("shop-*",)
    items = ItemNeeds(Sources([sweep]), {needs: makers_of(needs, [sweep])})
    keys, statuses = {REPORT: "report"}, {REPORT: WAITING}
    jobs = Dependencies({needs: []}, [(place(REPORT), needs)], statuses, items=items, keys=keys)
    assert released(jobs.begin()) == [REPORT]


def test_sources_are_asked_once_for_all_groups() -> None:
    """Jobs that each need some jobs of the items of many others: no look at each pair."""
    count = 20
    sweep = ItemSweep(name="shop-{{ n }}", needs=("search-*",), demand=None, definition="{}")  # type: ignore[arg-type] # not read here
    sources = CountedSources([sweep])
    keys = {seq: f"search-{seq}" for seq in range(count)}
    kinds = [(f"shop-{number}-*",) for number in range(count)]
    waiting: list[QueuedJob] = [place(count + number) for number in range(count)]
    dependencies = Dependencies(
        {needs: [] for needs in kinds},
        zip(waiting, kinds, strict=True),
        dict.fromkeys(keys, SUCCEEDED),
        items=ItemNeeds(sources, {needs: makers_of(needs, [sweep]) for needs in kinds}),
        keys=keys,
    )
    assert released(dependencies.begin()) == []
    assert sources.asked == count
    for source in keys:
        found = dependencies.expanded(*made(source, 2 * count + source, f"shop-{source}-a"))
        assert released(found) == []
    assert sources.asked == 2 * count
    for source in keys:
        found = dependencies.settled(2 * count + source, SUCCEEDED)
        assert released(found) == [count + source]
