"""Actors, tasks and builds: what can be run (API reference, "Actors", "Actor tasks")."""

from __future__ import annotations

import orjson

from orchestrator.apify import models, urls
from orchestrator.apify.models.decoding import reader_of
from orchestrator.apify.policy.refusals import describe_page
from orchestrator.apify.policy.sender import Call, Sender
from orchestrator.apify.request_builder import RequestBuilder
from orchestrator.errors import InputRejected, ServerFault
from orchestrator.model.jobs import Target, TargetKind

read_actor = reader_of(lambda: models.Actor)
read_task = reader_of(lambda: models.Task)
read_build = reader_of(lambda: models.Build)


class ActorEndpoints:
    """Reads Actors, tasks and builds, and validates inputs."""

    def __init__(self, requests: RequestBuilder, sender: Sender) -> None:
        self._requests = requests
        self._sender = sender

    async def get_actor(self, actor_id: str) -> models.Actor:
        """An Actor, by id, `owner/name` or `owner~name`."""
        path = f"/v2/{self._requests.path_prefix}/{urls.reference(actor_id)}"
        return await self._sender.ask(Call(self._requests.large(path), path), read_actor)

    async def get_task(self, task_id: str) -> models.Task:
        """A task, by id, `owner/name` or `owner~name`."""
        path = f"/v2/actor-tasks/{urls.reference(task_id)}"
        return await self._sender.ask(Call(self._requests.large(path), path), read_task)

    async def get_target(self, target: Target) -> models.Actor | models.Task:
        """What a job runs."""
        if target.kind is TargetKind.ACTOR:
            return await self.get_actor(target.id)
        return await self.get_task(target.id)

    async def get_build(self, build_id: str, *, wait_secs: int = 0) -> models.Build:
        """
        A build.

        Args:
            wait_secs: how long the platform may hold its answer for the build's end, 0 to 60.
        """
        path = f"/v2/actor-builds/{urls.segment(build_id)}"
        query = urls.wait_query(wait_secs)
        request = self._requests.large(f"{path}{query}", wait_secs=wait_secs)
        return await self._sender.ask(Call(request, path), read_build)

    async def validate_input(
        self, target: Target, body: bytes, *, build: str | None = None
    ) -> None:
        """
        Has the platform check an input against an Actor's input schema; starts nothing.

        Args:
            target: an Actor; there is no such endpoint for tasks.
            body: a JSON object.
            build: tag or number; `latest` when None.

        Raises:
            InputRejected: the input does not fit; the message says where.
            NotFound, NotAuthorized, TransientError.
        """
        if target.kind is not TargetKind.ACTOR:
            raise InputRejected("only the input of an Actor can be validated, not a task's")
        path = urls.target_path(target, self._requests.path_prefix)
        query = urls.query([("build", build)] if build else [])
        request = await self._requests.validation(f"{path}/validate-input{query}", body)
        await self._sender.ask(Call(request, path), read_validity)


def read_validity(body: bytes) -> None:
    """Reads the answer of validate-input, which is a success when it is there at all."""
    try:
        answer = orjson.loads(body)
    except ValueError:
        raise ServerFault(f"the answer is {describe_page(body)}") from None
    # A 200 of a gateway with other JSON must not pass for a valid input.
    if not isinstance(answer, dict) or answer.get("valid") is not True:
        raise ServerFault("the answer does not say whether the input is valid")
