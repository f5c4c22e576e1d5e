"""Tells which needed jobs a selection leaves out of a batch: nothing waits for them then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestrator.event_log import LOG
from orchestrator.model.jobs import Job
from orchestrator.model.selection import Choice
from orchestrator.specfile.jobs.needed_jobs import KeyIndex


class LeftOutNeeds:
    """Looks at the jobs of a spec, and at those of them that a choice takes."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._chosen: set[str] = set()
        self._needing: dict[tuple[str, ...], list[str]] = {}

    def chosen(self, choice: Choice, jobs: Iterable[Job]) -> Iterator[Job]:
        """The jobs that a choice takes; warns at the end of those that miss some they need."""
        for job in choice.of(self._seen(jobs)):
            self._chosen.add(job.key)
            if job.needs:
                self._needing.setdefault(job.needs, []).append(job.key)
            yield job
        self._warn()

    def _seen(self, jobs: Iterable[Job]) -> Iterator[Job]:
        for job in jobs:
            self._keys.append(job.key)
            yield job

    def _warn(self) -> None:
        missing: list[str] = []
        needing = 0
        index = KeyIndex(self._keys)
        for needs, keys in self._needing.items():
            found = {self._keys[place] for _, places in index.matching(needs) for place in places}
            left_out = sorted(found - self._chosen)
            if left_out:
                needing += len(keys)
                missing.append(f"{keys[0]} needs {left_out[0]}")
        if missing:
            LOG.warning("needed_jobs_left_out", jobs=needing, first=missing[0])
