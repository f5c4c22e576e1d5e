"""
Which Actors there are, and how the API shows them. `actor_files` reads them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from apify_emulator.account import USER_ID, USERNAME
from apify_emulator.ids import iso
from apify_emulator.refusals import ApiError, actor_not_found

MEMORY_STEPS = frozenset(128 << step for step in range(9))
DEFAULT_MEMORY_MBYTES = 1024
DEFAULT_TIMEOUT_SECS = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """
    One Actor and its only build.

    Attributes:
        full_name: `username/name`.
        folder: the Actor's sources; None for a simulated one.
        version: as `actor.json` has it, such as `0.1`.
        input_schema: None where there is none.
        simulation: default input of a simulated Actor; None for a real one.
    """

    full_name: str
    folder: Path | None = None
    title: str | None = None
    description: str | None = None
    version: str = "0.1"
    build_tag: str = "latest"
    definition: dict[str, Any] = field(default_factory=dict)
    input_schema: dict[str, Any] | None = None
    memory_mbytes: int = DEFAULT_MEMORY_MBYTES
    timeout_secs: int = DEFAULT_TIMEOUT_SECS
    restart_on_error: bool = False
    max_items: int | None = None
    environment: dict[str, str] = field(default_factory=dict)
    simulation: dict[str, Any] | None = None
    id: str = ""
    build_id: str = ""

    @property
    def username(self) -> str:
        """
        Whose Actor it is.
        """
        return self.full_name.partition("/")[0]

    @property
    def name(self) -> str:
        """
        The name without its owner.
        """
        return self.full_name.partition("/")[2]

    @property
    def build_number(self) -> str:
        """
        Three numbers, as Apify's builds have.
        """
        return f"{self.version}.1"


class ActorBook:
    """
    All Actors, by id and by name.
    """

    def __init__(self, actors: Iterable[Actor], created_at: float) -> None:
        self.created_at = created_at
        self.by_id: dict[str, Actor] = {}
        self._by_name: dict[str, Actor] = {}
        for actor in actors:
            self.by_id[actor.id] = actor
            self._by_name[actor.full_name.lower()] = actor

    def find(self, reference: str) -> Actor:
        """
        Return the Actor that a path or a task names: an id, `username~name` or `~name`.

        Raises:
            ApiError: there is none (404).
        """
        actor = self.by_id.get(reference)
        if actor is None:
            actor = self._by_name.get(full_name(reference).lower())
        if actor is None:
            raise actor_not_found()
        return actor

    def build(self, build_id: str) -> Actor:
        """
        Return the Actor that a build belongs to.
        """
        for actor in self.by_id.values():
            if actor.build_id == build_id:
                return actor
        raise ApiError(404, "record-not-found", "Build was not found")


def full_name(reference: str) -> str:
    """
    Return `username/name` of a reference; `~name` and `me~name` are the account's own.
    """
    owner, _, name = reference.replace("~", "/", 1).partition("/")
    return f"{USERNAME if owner in ('', 'me') else owner}/{name}"


def check_build(actor: Actor, build: str | None) -> str:
    """
    Return the tag or number that a run shows; None and the empty text mean the default.

    Raises:
        ApiError: the Actor has no such build.
    """
    if not build:
        return actor.build_tag
    if build in (actor.build_tag, "latest", actor.build_number, actor.version):
        return build
    raise ApiError(
        404,
        "unknown-build-tag",
        f'Build with tag or number "{build}" was not found for Actor {actor.full_name}',
    )


def actor_view(actor: Actor, created_at: float, total_runs: int) -> dict[str, Any]:
    """
    Return an Actor as its own endpoint shows it.
    """
    moment = iso(created_at)
    return {
        "id": actor.id,
        "userId": USER_ID,
        "name": actor.name,
        "username": actor.username,
        "title": actor.title,
        "description": actor.description,
        "isPublic": False,
        "createdAt": moment,
        "modifiedAt": moment,
        "actorPermissionLevel": "LIMITED_PERMISSIONS",
        "stats": {"totalBuilds": 1, "totalRuns": total_runs, "totalUsers": 1},
        "versions": [
            {
                "versionNumber": actor.version,
                "sourceType": "SOURCE_FILES",
                "buildTag": actor.build_tag,
                "envVars": [],
                "sourceFiles": [],
            }
        ],
        "pricingInfos": [],
        "defaultRunOptions": {
            "build": actor.build_tag,
            "timeoutSecs": actor.timeout_secs,
            "memoryMbytes": actor.memory_mbytes,
            "restartOnError": actor.restart_on_error,
            "maxItems": actor.max_items,
        },
        "exampleRunInput": {"body": "{}", "contentType": "application/json; charset=utf-8"},
        "isDeprecated": False,
        "taggedBuilds": {
            actor.build_tag: {
                "buildId": actor.build_id,
                "buildNumber": actor.build_number,
                "finishedAt": moment,
            }
        },
    }


def short_view(actor: Actor, created_at: float, total_runs: int) -> dict[str, Any]:
    """
    Return an Actor as lists show it.
    """
    return {
        "id": actor.id,
        "createdAt": iso(created_at),
        "modifiedAt": iso(created_at),
        "name": actor.name,
        "username": actor.username,
        "title": actor.title or actor.name,
        "stats": {"totalBuilds": 1, "totalRuns": total_runs, "totalUsers": 1},
    }


def build_view(actor: Actor, created_at: float) -> dict[str, Any]:
    """
    Return the Actor's build.
    """
    moment = iso(created_at)
    return {
        "id": actor.build_id,
        "actId": actor.id,
        "userId": USER_ID,
        "startedAt": moment,
        "finishedAt": moment,
        "status": "SUCCEEDED",
        "meta": {"origin": "DEVELOPMENT"},
        "stats": {"durationMillis": 0, "runTimeSecs": 0.0, "computeUnits": 0.0},
        "options": {"useCache": True, "betaPackages": False, "memoryMbytes": 4096},
        "usageTotalUsd": 0.0,
        "buildNumber": actor.build_number,
        "inputSchema": None
        if actor.input_schema is None
        else orjson.dumps(actor.input_schema).decode(),
        "readme": None,
        "actorDefinition": {
            "actorSpecification": 1,
            "name": actor.name,
            "version": actor.version,
            "buildTag": actor.build_tag,
            "input": actor.input_schema or {},
        },
    }
