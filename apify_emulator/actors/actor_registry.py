"""
All Actors, by id and by name.

Folders are read again when an Actor is not found, and when its files have changed, so that an Actor
that was added or edited is there for the next request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from apify_emulator.account import USERNAME
from apify_emulator.actors.actor import Actor
from apify_emulator.actors.actor_files import changed_at, read_actor
from apify_emulator.actors.pricing import appended
from apify_emulator.errors import SetupError
from apify_emulator.journal import Journal
from apify_emulator.refusals import ApiError, actor_not_found, record_not_found


class ActorRegistry:
    """All Actors, by id and by name."""

    def __init__(
        self,
        read: Callable[[], Iterable[Actor]],
        created_at: float,
        *,
        journal: Journal,
        pricings: dict[str, dict[str, Any]],
    ) -> None:
        """
        Reads the Actors.

        Args:
            read: returns all Actors in the folders.
            pricings: which the API has changed, by the id of the Actor.

        Raises:
            SetupError: an Actor cannot be read.
        """
        self.created_at = created_at
        self._read = read
        self._journal = journal
        self._pricings = pricings
        self.by_id: dict[str, Actor] = {}
        self._by_name: dict[str, Actor] = {}
        for actor in read():
            self._keep(actor)

    def pricing_infos(self, actor: Actor) -> list[dict[str, Any]]:
        """Returns the pricings of an Actor, oldest first."""
        changed = self._pricings.get(actor.id)
        return list(actor.pricing_infos) if changed is None else list(changed["infos"])

    def change_pricing(self, actor: Actor, wanted: object) -> None:
        """
        Adds a pricing to those of an Actor, from now on and after a restart.

        Raises:
            ApiError: it is not valid, or the past would change (400).
        """
        self._pricings[actor.id] = {"infos": appended(self.pricing_infos(actor), wanted)}
        self._journal.put("pricing", actor.id, self._pricings[actor.id])

    def clear_pricings(self) -> None:
        """Undoes all changes of pricings by the API."""
        for actor_id in self._pricings:
            self._journal.drop("pricing", actor_id)
        self._pricings.clear()

    def remove(self, folder: Path) -> None:
        """Removes the Actor of a folder that was deleted."""
        for actor in list(self.by_id.values()):
            if actor.folder == folder:
                del self.by_id[actor.id]
                self._by_name.pop(actor.full_name.lower(), None)

    def refresh(self) -> None:
        """
        Reads the folders again; Actors whose folders are gone stay, because runs name them.

        Raises:
            ApiError: an Actor cannot be read (400); it stays as it was, and the others are new.
        """
        try:
            for actor in self._read():
                self._keep(actor)
        except SetupError as problem:
            raise unusable(problem) from problem

    def find(self, reference: str) -> Actor:
        """
        Returns the Actor that a path names: an id, `username~name` or `~name`.

        Raises:
            ApiError: it does not exist (404), or it was edited and cannot be read (400). Clients
                return nothing for a 404 of this type.
        """
        actor = self._found(reference)
        if actor is None:
            raise record_not_found("Actor")
        return actor

    def find_to_run(self, reference: str) -> Actor:
        """
        Returns the Actor that a start or a task names, as `find` does.

        Raises:
            ApiError: as `find`, with the type that starts have.
        """
        actor = self._found(reference)
        if actor is None:
            raise actor_not_found()
        return actor

    def _found(self, reference: str) -> Actor | None:
        actor = self._known(reference)
        if actor is None:
            try:
                self.refresh()
            except ApiError:
                actor = self._known(reference)
                # It may be the one that cannot be read.
                if actor is None:
                    raise
            actor = self._known(reference)
        return None if actor is None else self._current(actor)

    def _known(self, reference: str) -> Actor | None:
        actor = self.by_id.get(reference)
        return actor or self._by_name.get(full_name(reference).lower())

    def _current(self, actor: Actor) -> Actor | None:
        folder = actor.folder
        if folder is None or changed_at(folder) == actor.changed:
            return actor
        if not folder.is_dir():
            return actor
        try:
            edited = read_actor(folder)
        except SetupError as problem:
            raise unusable(problem) from problem
        # Another name makes another Actor, which is found under that name only.
        if edited.id != actor.id:
            self.by_id.pop(actor.id)
            self._by_name.pop(actor.full_name.lower(), None)
            self._keep(edited)
            return None
        self._keep(edited)
        return edited

    def _keep(self, actor: Actor) -> None:
        self.by_id[actor.id] = actor
        self._by_name[actor.full_name.lower()] = actor

    def build(self, build_id: str) -> Actor:
        """
        Returns the Actor that a build belongs to.

        Raises:
            ApiError: there is no such build (404).
        """
        actor = self.of_build(build_id)
        if actor is None:
            raise record_not_found("Build")
        return actor

    def of_build(self, build_id: str) -> Actor | None:
        """Returns the Actor that a build belongs to; None if there is no such build."""
        found = (actor for actor in self.by_id.values() if actor.build_id == build_id)
        return next(found, None)


def unusable(problem: SetupError) -> ApiError:
    """The refusal of a start when the files of an Actor cannot be used."""
    return ApiError(400, "invalid-build", str(problem))


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
