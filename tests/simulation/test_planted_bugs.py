"""Fifteen typical mistakes: each is planted, and the simulations must find it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.apify import ClientOptions, models
from orchestrator.apify.policy import refusals, sender
from orchestrator.app.batch import spending
from orchestrator.errors import PlatformError
from orchestrator.ledger import Ledger
from orchestrator.model.attempts import Attempt
from orchestrator.model.runs import Run
from orchestrator.scheduler import start_request
from orchestrator.scheduler.attempt import AttemptLife
from orchestrator.scheduler.decide.limits import Claim
from orchestrator.scheduler.decide.usage import Usage
from orchestrator.scheduler.lost_start import LostStartSearch
from orchestrator.scheduler.run_list import RunListing
from orchestrator.scheduler.run_search import RunFinder
from orchestrator.scheduler.start import Starter
from orchestrator.store.atomic_files import Files
from orchestrator.store.part_file import PartFile
from tests.simulation import simulated_batch
from tests.simulation.conditions import Conditions, conditions_of
from tests.simulation.simulated_batch import play

SEEDS = 30


def first_failure(
    folder: Path, like: Callable[[Conditions], bool] = lambda _any: True, *, finder: int = 0
) -> str:
    """
    Plays simulations until one fails; returns its message.

    Args:
        like: the conditions under which the mistake can show.
        finder: a seed that finds the mistake soon; it is played first.
    """
    seeds = (seed for seed in count() if like(conditions_of(seed)))
    firsts = [finder] if like(conditions_of(finder)) else []
    for seed in dict.fromkeys([*firsts, *islice(seeds, SEEDS)]):
        home = folder / str(seed)
        home.mkdir()
        try:
            play(seed, home)
        except BaseException as error:  # noqa: BLE001 - any error is a failed simulation
            return words_of(error)
    return "no simulation failed"


def words_of(error: BaseException) -> str:
    """The messages of an error, or of all errors of a group."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(map(words_of, error.exceptions))
    return str(error)


def test_simulations_find_a_start_that_is_repeated_blindly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every lost answer counts as a start without effect, except a late synchronous one."""
    monkeypatch.setattr(sender, "_may_have_started", lambda error: error.status == 408)
    found = first_failure(tmp_path)
    assert "one run per attempt" in found or "resurrected once an attempt" in found


def test_simulations_find_a_page_that_is_taken_for_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every 4xx proves that a start had no effect, whoever answered."""
    original = refusals.class_of

    def class_of(status: int, kind: str | None) -> type[PlatformError]:
        return original(status, kind or "not-known-yet")

    monkeypatch.setattr(refusals, "proves_no_effect", lambda status, _kind: 400 <= status < 500)
    monkeypatch.setattr(refusals, "class_of", class_of)
    assert first_failure(tmp_path) != "no simulation failed"


def test_simulations_find_an_answer_that_is_never_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any run in the answer to a start counts as its own."""
    monkeypatch.setattr(start_request, "mismatch", lambda *_asked: None)
    assert first_failure(tmp_path, finder=11) != "no simulation failed"


def test_simulations_find_an_unexpected_answer_that_counts_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One refusal of a poll or a dataset ends its job, or the batch."""
    hasty = partial(ClientOptions, refusal_pauses_secs=())
    monkeypatch.setattr(simulated_batch, "ClientOptions", hasty)
    assert first_failure(tmp_path) != "no simulation failed"


def test_simulations_find_a_run_id_that_is_stored_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is recorded as started only when it has ended."""
    late: dict[str, bool] = {}

    async def record(self: Starter, attempt: Attempt, run: Run, *, adopted: bool) -> None:
        self._parts.finder.claim(run.id, attempt.job.target)
        late[run.id] = adopted

    async def finished(self: Ledger, attempt: Attempt, run: Run, **more: Any) -> None:
        if run.id in late:
            await self.mark_started(attempt, run, adopted=late.pop(run.id))
        await original(self, attempt, run, **more)

    original = Ledger.mark_finished
    monkeypatch.setattr(Starter, "_record", record)
    monkeypatch.setattr(Ledger, "mark_finished", finished)
    found = first_failure(tmp_path)
    assert "durable before followed" in found or "mark_seen does not fit" in found


def test_simulations_find_a_slot_that_is_released_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ends releases two slots, if there are two."""

    def release(self: Usage, claim: Claim, **more: bool) -> None:
        original(self, claim, **more)
        if self.runs and not claim.pools and self.memory_mbytes >= claim.memory_mbytes:
            original(self, claim)

    original = Usage.release
    monkeypatch.setattr(Usage, "release", release)
    found = first_failure(tmp_path)
    assert "limits: " in found or "released twice" in found


def test_simulations_find_a_part_file_that_is_renamed_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dataset has its final name from its first piece on."""

    async def open_part(
        self: Files, folder: Path, name: str, *, part: str | None = None
    ) -> PartFile:
        opened = await original(self, folder, name, part=part)
        if part is not None and part.endswith(".answer"):
            # The file of a synchronous answer is opened again before it is renamed.
            return opened
        Path(opened._part).rename(opened._final)  # noqa: ASYNC240 - virtual time does not move here
        opened._part = opened._final
        return opened

    original = Files.open_part
    monkeypatch.setattr(Files, "open_part", open_part)
    found = first_failure(tmp_path, finder=4)
    assert "whole under a final name" in found or "No such file" in found


def test_simulations_find_items_that_are_collected_too_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run is collected at its end, when half of its items may not be shown yet."""
    monkeypatch.setattr(AttemptLife, "_counted_at", lambda _self, _ended: anyio.current_time())
    found = first_failure(tmp_path, finder=24)
    assert "each item on disk once" in found or "whole under a final name" in found


def test_simulations_find_a_takeover_that_reads_only_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger from a backup is trusted, and what was started later is started again."""

    async def nothing(*_given: object, **_more: object) -> None:
        """Takes over without a request to the platform."""

    monkeypatch.setattr(simulated_batch, "take_over", nothing)
    assert "one run per attempt" in first_failure(
        tmp_path, lambda like: like.restores and not like.has_budget, finder=118
    )


def test_simulations_find_a_cost_that_is_final_too_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resume counts the costs that the platform has reported so far as final."""
    monkeypatch.setattr(spending, "_is_final", lambda cost, _secs: cost.cost_usd is not None)
    assert "budget: " in first_failure(
        tmp_path, lambda like: like.has_budget and like.cost_lag_secs == 90, finder=397
    )


def test_simulations_find_a_rate_that_each_process_counts_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resume forgets the starts of the last minute."""
    monkeypatch.setattr(spending, "count_starts", lambda *_given, **_more: None)
    found = first_failure(
        tmp_path, lambda like: like.shop_starts_per_minute is not None, finder=221
    )
    assert "rate: " in found


def test_simulations_find_an_absence_in_a_list_that_hides_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of a token that sees only a part of the account proves that there is no run."""

    async def look(self: RunFinder) -> None:
        targets = {attempt.job.target for attempt in self._asked.values()}
        await self._read_list(min(one.listed_from for one in self._asked.values()), None)
        self._proven = targets

    monkeypatch.setattr(RunFinder, "_search_for_asked", look)
    found = first_failure(tmp_path, lambda like: like.account_list != "all", finder=39)
    assert "one run per attempt" in found


def test_simulations_find_an_absence_by_the_wall_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that is set makes a start look long past, or as if it were still to come."""

    def absent_at(self: LostStartSearch, attempt: Attempt, _began_at: float | None) -> float:
        age = (self._parts.utc_now() - attempt.intent_at).total_seconds()
        return anyio.current_time() + 45.0 - age

    monkeypatch.setattr(LostStartSearch, "_absent_at", absent_at)
    found = first_failure(
        tmp_path, lambda like: any(secs < -3600 for _, secs in like.clock_steps), finder=847
    )
    assert "one run per attempt" in found or "no wait is too long" in found


def test_simulations_find_a_missing_search_by_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If user agents are hidden, a lost answer counts as a start without effect."""

    async def none(_self: RunFinder, _attempt: Attempt, _body: bytes | None) -> None:
        """Finds nothing."""

    monkeypatch.setattr(RunFinder, "find_by_input", none)
    found = first_failure(
        tmp_path, lambda like: not (like.tells_agents or like.has_budget), finder=30
    )
    assert "one run per attempt" in found


def test_simulations_find_a_list_that_is_paged_by_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that come twice hide other rows."""

    async def once(self: RunListing) -> AsyncIterator[Sequence[models.Run]]:
        offset, self.is_whole = 0, True
        while True:
            page = await self._client.runs.list(
                target=self._target, started_after=self._since, limit=1000, offset=offset
            )
            yield page.items
            offset += len(page.items)
            if not page.items or offset >= page.total:
                return

    monkeypatch.setattr(RunListing, "__aiter__", once)
    assert "one run per attempt" in first_failure(
        tmp_path, lambda like: like.page_rows == 5 and like.page_fault == "doubles"
    )
