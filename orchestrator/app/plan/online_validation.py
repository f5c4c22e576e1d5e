"""
What only the platform knows about a spec: whether Actors, tasks and builds exist, and inputs fit.

Nothing is started. Each distinct input is sent once. A platform that does not answer is a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import anyio

from orchestrator.apify import ApifyClient
from orchestrator.apify.models import Actor
from orchestrator.app.account.batch_account import account_of
from orchestrator.app.batch.run_inputs import read_input
from orchestrator.app.setup.context import BatchContext, connected_client
from orchestrator.errors import NotAuthorized, PermanentError, TransientError
from orchestrator.model.ids import JobKey
from orchestrator.model.item_sweeps import ItemSweep
from orchestrator.model.jobs import Job, Target, TargetKind

AT_ONCE = 16
BUILD_NUMBER = re.compile(r"\d+\.\d+(\.\d+)?")

Question = tuple[Target, str | None, str]
"""One check on the platform: the target, the build, and the hash of the input."""


@dataclass(slots=True)
class Answers:
    """
    What the platform says.

    Attributes:
        mistakes: what is wrong, each with the key of the first job that has it.
        warnings: what could not be checked.
        asked: how many inputs were checked.
    """

    mistakes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    asked: int = 0


async def ask_platform(
    jobs: Iterable[Job], sweeps: Iterable[ItemSweep], context: BatchContext
) -> Answers:
    """
    Checks the targets and the inputs of jobs.

    Args:
        sweeps: of items, whose targets are checked.

    Raises:
        NotAuthorized: the token is refused.
        PlatformError: the platform cannot be reached at all.
    """
    async with connected_client(None, context) as client:
        # It tells a refused token, and a platform that is away, before a question for each job.
        await account_of(client)
        return await _Checks(client).run(jobs, sweeps)


class _Checks:
    def __init__(self, client: ApifyClient) -> None:
        self._client = client
        self._answers = Answers()
        self._turns = anyio.Semaphore(AT_ONCE)

    async def run(self, jobs: Iterable[Job], sweeps: Iterable[ItemSweep]) -> Answers:
        targets = {sweep.demand.target: JobKey(sweep.name) for sweep in sweeps}
        builds: dict[tuple[Target, str], JobKey] = {}
        inputs: dict[Question, Job] = {}
        for job in jobs:
            targets.setdefault(job.target, job.key)
            build = job.options.build
            if build is not None:
                builds.setdefault((job.target, build), job.key)
            if job.target.kind is TargetKind.ACTOR and not job.input.late_paths:
                inputs.setdefault((job.target, build, job.input.sha256), job)
        actors = await self._look_up(targets)
        for (target, build), key in builds.items():
            actor = actors.get(target)
            if isinstance(actor, Actor) and not _has_build(actor, build):
                tags = ", ".join(sorted(actor.tagged_builds or {})) or "none"
                self._answers.mistakes.append(
                    f"{key}: {target} has no build {build!r}; its tags are {tags}"
                )
        async with anyio.create_task_group() as checks:
            for (target, build, _), job in inputs.items():
                if target in actors:
                    checks.start_soon(self._check, job, build, name=f"input of {job.key}")
        self._answers.mistakes.sort()
        return self._answers

    async def _look_up(self, targets: dict[Target, JobKey]) -> dict[Target, object]:
        found: dict[Target, object] = {}

        async def look_up(target: Target, key: JobKey) -> None:
            async with self._turns:
                try:
                    found[target] = await self._client.actors.get_target(target)
                except NotAuthorized:
                    raise
                except PermanentError as error:
                    self._answers.mistakes.append(f"{key}: {target}: {error.message}")
                except TransientError as error:
                    self._answers.warnings.append(f"{target} could not be looked up: {error}")

        async with anyio.create_task_group() as lookups:
            for target, key in targets.items():
                lookups.start_soon(look_up, target, key, name=f"look-up {target}")
        return found

    async def _check(self, job: Job, build: str | None) -> None:
        if job.input.content_type.partition(";")[0] != "application/json":
            return
        async with self._turns:
            try:
                body = await read_input(job, env={})
                await self._client.actors.validate_input(job.target, body or b"{}", build=build)
            except NotAuthorized:
                raise
            except PermanentError as error:
                self._answers.mistakes.append(f"{job.key}: {error.message}")
            except TransientError as error:
                self._answers.warnings.append(f"the input of {job.key} was not checked: {error}")
            else:
                self._answers.asked += 1


def _has_build(actor: Actor, build: str) -> bool:
    tags = actor.tagged_builds
    return tags is None or build in tags or BUILD_NUMBER.fullmatch(build) is not None
