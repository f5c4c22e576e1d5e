"""All Actors, by id and by name."""

from __future__ import annotations

from collections.abc import Iterable

from apify_emulator.account import USERNAME
from apify_emulator.actors.actor import Actor
from apify_emulator.refusals import ApiError, actor_not_found


class ActorRegistry:
    """All Actors, by id and by name."""

    def __init__(self, actors: Iterable[Actor], created_at: float) -> None:
        self.created_at = created_at
        self.by_id: dict[str, Actor] = {}
        self._by_name: dict[str, Actor] = {}
        for actor in actors:
            self.by_id[actor.id] = actor
            self._by_name[actor.full_name.lower()] = actor

    def find(self, reference: str) -> Actor:
        """
        Returns the Actor that a path or a task names: an id, `username~name` or `~name`.

        Raises:
            ApiError: it does not exist (404).
        """
        actor = self.by_id.get(reference)
        if actor is None:
            actor = self._by_name.get(full_name(reference).lower())
        if actor is None:
            raise actor_not_found()
        return actor

    def build(self, build_id: str) -> Actor:
        """Returns the Actor that a build belongs to."""
        for actor in self.by_id.values():
            if actor.build_id == build_id:
                return actor
        raise ApiError(404, "record-not-found", "Build was not found")


def full_name(reference: str) -> str:
    """Returns `username/name` of a reference; `~name` and `me~name` are the account's own."""
    # Only the first `~` separates the owner from the name.
    owner, _, name = reference.replace("~", "/", 1).partition("/")
    return f"{USERNAME if owner in ('', 'me') else owner}/{name}"


def check_build(actor: Actor, build: str | None) -> str:
    """
    Returns the tag or number that a run shows; None and the empty string mean the default.

    Raises:
        ApiError: the Actor has no such build.
    """
    if not build:
        return actor.build_tag
    # An Actor has only one build, so all these names mean the same.
    if build in (actor.build_tag, "latest", actor.build_number, actor.version):
        return build
    raise ApiError(
        404,
        "unknown-build-tag",
        f'Build with tag or number "{build}" was not found for Actor {actor.full_name}',
    )
