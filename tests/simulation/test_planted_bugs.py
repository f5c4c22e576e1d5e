"""
Eight mistakes that are easily made: each is planted, and the nights must find it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.client import refusals, sending
from orchestrator.collector.files import Files, PartFile
from orchestrator.errors import PlatformError
from orchestrator.ledger import Ledger
from orchestrator.model.attempts import Attempt
from orchestrator.model.runs import Run
from orchestrator.scheduler import starting
from orchestrator.scheduler.driving import Driver
from orchestrator.scheduler.limits import Claim, Usage
from orchestrator.scheduler.starting import Starter
from tests.simulation.night import play

SEEDS = 30


def first_failure(folder: Path) -> str:
    """
    Plays nights until one fails; returns what it says.
    """
    for seed in range(SEEDS):
        home = folder / str(seed)
        home.mkdir()
        try:
            play(seed, home)
        except BaseException as error:  # noqa: BLE001 - whatever it is, a night failed
            return _words(error)
    return "no night failed"


def _words(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(map(_words, error.exceptions))
    return str(error)


def test_nights_find_a_start_that_is_repeated_blindly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every lost answer is taken for a start that did nothing, except that a held one is late."""
    monkeypatch.setattr(sending, "_may_have_started", lambda error: error.status == 408)
    found = first_failure(tmp_path)
    assert "one run per attempt" in found or "resurrected once an attempt" in found


def test_nights_find_a_page_that_is_taken_for_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 4xx is believed to prove that a start did nothing, whoever it comes from."""
    honest = refusals.class_of

    def class_of(status: int, kind: str | None) -> type[PlatformError]:
        return honest(status, kind or "not-known-yet")

    monkeypatch.setattr(refusals, "proves_no_effect", lambda status, _kind: 400 <= status < 500)
    monkeypatch.setattr(refusals, "class_of", class_of)
    assert first_failure(tmp_path) != "no night failed"


def test_nights_find_an_answer_that_is_believed_blindly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever run the answer to a start names is taken for its own."""
    monkeypatch.setattr(starting, "doubt", lambda *_asked: None)
    assert first_failure(tmp_path) != "no night failed"


def test_nights_find_an_odd_answer_that_counts_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One refusal of a poll or a dataset ends its job, or the batch."""
    monkeypatch.setattr(sending, "ASK_AGAIN_SECS", ())
    assert first_failure(tmp_path) != "no night failed"


def test_nights_find_a_run_id_that_is_stored_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is recorded as started only when it has ended."""
    late: dict[str, bool] = {}

    async def record(self: Starter, attempt: Attempt, run: Run, *, adopted: bool) -> None:
        self._finder.claim(run.id, attempt.job.target)
        late[run.id] = adopted

    async def finished(self: Ledger, attempt: Attempt, run: Run, **more: Any) -> None:
        if run.id in late:
            await self.started(attempt, run, adopted=late.pop(run.id))
        await honest(self, attempt, run, **more)

    honest = Ledger.finished
    monkeypatch.setattr(Starter, "_record", record)
    monkeypatch.setattr(Ledger, "finished", finished)
    found = first_failure(tmp_path)
    assert "durable before followed" in found or "mark_seen does not fit" in found


def test_nights_find_a_slot_that_is_given_back_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ends frees two slots, while there are two."""

    def give(self: Usage, claim: Claim, **more: bool) -> None:
        honest(self, claim, **more)
        if self.runs and not claim.pools and self.memory_mbytes >= claim.memory_mbytes:
            honest(self, claim)

    honest = Usage.give
    monkeypatch.setattr(Usage, "give", give)
    found = first_failure(tmp_path)
    assert "limits: " in found or "given back twice" in found


def test_nights_find_a_part_file_that_is_renamed_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dataset has its final name from its first piece on."""

    async def open_part(
        self: Files, folder: Path, name: str, *, part: str | None = None
    ) -> PartFile:
        opened = await honest(self, folder, name, part=part)
        if part is not None and part.endswith(".answer"):
            # That of a synchronous answer is opened again before it is renamed.
            return opened
        Path(opened._part).rename(opened._final)  # noqa: ASYNC240 - time stands still here
        opened._part = opened._final
        return opened

    honest = Files.open_part
    monkeypatch.setattr(Files, "open_part", open_part)
    found = first_failure(tmp_path)
    assert "whole under a final name" in found or "No such file" in found


def test_nights_find_items_that_are_collected_too_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run is collected as soon as it has ended, when half of its items may not be shown."""
    monkeypatch.setattr(Driver, "settles_at", lambda _self, _ended: anyio.current_time())
    found = first_failure(tmp_path)
    assert "each item on disk once" in found or "whole under a final name" in found
