"""Jobs that are made of the items of other jobs, in the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.errors import TooManyJobs
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.expansion_facts import MakeJobs, Place, TakeNew
from orchestrator.model.item_sweeps import Expansion, ItemSweep, Sources
from orchestrator.model.jobs import Job
from tests.support.builders import make_job, make_ledger

EACH = pytest.mark.usefixtures("each_store")


def jobs_of(*names: str) -> MakeJobs:
    return lambda _take_new, place: (make_job(place(), key=name) for name in names)


@EACH
async def test_jobs_of_a_source_are_written_once(tmp_path: Path) -> None:
    """A second expansion of the same source writes nothing, even if the items have changed."""
    ledger = make_ledger(tmp_path)
    made = await ledger.expand("s", 0, jobs_of("a", "b"), most_jobs=9)
    assert made == Expansion(sweep="s", source=0, first_seq=1, jobs=2)
    assert await ledger.expand("s", 0, jobs_of("c"), most_jobs=9) is None
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        assert reader.keys() == ["job-0", "a", "b"]
        assert [job.seq for job in reader.waiting(range(1, 3))] == [1, 2]
        assert reader.expansions() == [made]


@EACH
async def test_expansion_that_fails_writes_nothing(tmp_path: Path) -> None:
    """Neither jobs nor distinct rows stay when a source cannot be read to its end."""
    ledger = make_ledger(tmp_path)

    def torn(take_new: TakeNew, _place: Place) -> Iterator[Job]:
        assert list(take_new([7])) == [7]
        yield make_job(key="a")
        raise OSError("torn")

    with pytest.raises(OSError, match="torn"):
        await ledger.expand("s", 0, torn, most_jobs=9)
    with pytest.raises(TooManyJobs):
        await ledger.expand("s", 0, jobs_of("a", "b"), most_jobs=2)
    seen: list[bool] = []

    def whole(take_new: TakeNew, place: Place) -> Iterator[Job]:
        seen.extend([bool(list(take_new([7]))) for _ in range(2)])
        yield make_job(place(), key="a")

    made = await ledger.expand("s", 0, whole, most_jobs=2)
    assert made is not None
    assert (made.first_seq, made.jobs, seen) == (1, 1, [True, False])


@EACH
async def test_rows_without_a_job_are_counted(tmp_path: Path) -> None:
    """The ledger holds how many rows gave no job, and why the first of them did not."""
    ledger = make_ledger(tmp_path)
    rows: list[Job | str] = ["no field", make_job(1, key="JOB-0"), make_job(1, key="a")]
    made = await ledger.expand("s", 0, lambda _take_new, _place: rows, most_jobs=9)
    assert made is not None
    assert (made.jobs, made.left_out, made.problem) == (1, 2, "no field")
    again = await ledger.expand("t", 0, jobs_of("A"), most_jobs=9)
    assert again is not None
    assert "another job has the key 'A'" in (again.problem or "")


@EACH
async def test_run_of_another_copy_is_not_taken_for_a_job_of_items(tmp_path: Path) -> None:
    """The places of jobs of items depend on the order of their sources, which copies may vary."""
    ledger = make_ledger(tmp_path)
    await ledger.expand("s", 0, jobs_of("a"), most_jobs=9)
    assert await ledger.demand_of_adoptable(0, 1) is not None
    assert await ledger.demand_of_adoptable(1, 1) is None


@EACH
async def test_group_with_a_taken_key_has_no_gap(tmp_path: Path) -> None:
    """The jobs after one whose key is taken follow it, with places that follow one another."""
    ledger = make_ledger(tmp_path)
    made = await ledger.expand("s", 0, jobs_of("a", "JOB-0", "b", "A", "c"), most_jobs=9)
    assert made is not None
    assert (made.first_seq, made.jobs, made.left_out) == (1, 3, 2)
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        assert [report.job.seq for report in reader.reports()] == [0, 1, 2, 3]
        assert reader.keys() == ["job-0", "a", "b", "c"]


def test_sources_wait_for_each_sweep_that_needs_them() -> None:
    """A sweep takes jobs of the spec and of earlier sweeps, each once, and none of its own."""
    sweeps = [
        ItemSweep(name=name, needs=(needs,), demand=None, definition="{}")  # type: ignore[arg-type] # not read here
        for name, needs in (("first", "Search-*"), ("second", "*"))
    ]
    sources = Sources(sweeps)
    assert [one.name for one in sources.waiting(0, "search-x")] == ["first", "second"]
    sources.add(Expansion(sweep="first", source=0, first_seq=5, jobs=2))
    assert [one.name for one in sources.waiting(0, "search-x")] == ["second"]
    assert [one.name for one in sources.waiting(6, "search-6")] == ["second"]
    sources.add(Expansion(sweep="second", source=6, first_seq=7, jobs=1))
    assert sources.waiting(7, "search-7") == []
    assert [one.name for one in sources.waiting(8, "search-8")] == ["first", "second"]
