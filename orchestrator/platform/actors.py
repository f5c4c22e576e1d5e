"""
Which Actors there are: folders with `.actor/actor.json`, and the built-in simulated one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from orchestrator.errors import ConfigError
from orchestrator.platform.account import USER_ID, USERNAME
from orchestrator.platform.errors import ApiError, actor_not_found
from orchestrator.platform.ids import derived_id, iso

MEMORY_STEPS = frozenset(128 << step for step in range(9))
DEFAULT_MEMORY_MBYTES = 1024
DEFAULT_TIMEOUT_SECS = 3600
_SIMULATED = "orchestrator/simulated"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")


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


def load_actors(folders: Iterable[Path]) -> list[Actor]:
    """
    Return the Actors in and right below the folders, and the built-in one.

    Raises:
        ConfigError: a folder is missing, or an `actor.json` cannot be used.
    """
    actors = [_identified(Actor(full_name=_SIMULATED, simulation={}, title="Simulated Actor"))]
    seen: dict[str, Path | None] = {_SIMULATED: None}
    for folder in _actor_folders(folders):
        actor = _read_actor(folder)
        if actor.full_name.lower() in seen:
            first = seen[actor.full_name.lower()] or "the built-in Actors"
            raise ConfigError(
                f"{folder}: the Actor {actor.full_name} is already in {first}; rename one of them"
            )
        seen[actor.full_name.lower()] = folder
        actors.append(actor)
    return actors


def _actor_folders(folders: Iterable[Path]) -> Iterator[Path]:
    found: set[Path] = set()
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"{folder}: no such folder of Actors; name one that exists")
        for candidate in (folder, *sorted(folder.iterdir())):
            place = candidate.resolve()
            if place not in found and (candidate / ".actor" / "actor.json").is_file():
                found.add(place)
                yield place


def _read_actor(folder: Path) -> Actor:
    path = folder / ".actor" / "actor.json"
    definition = _json_object(path)
    name = definition.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(f'{path}: "name" must be a plain name, such as "my-actor", got {name!r}')
    options = definition.get("defaultRunOptions") or {}
    try:
        return _identified(
            Actor(
                full_name=name if "/" in name else f"{USERNAME}/{name}",
                folder=folder,
                title=definition.get("title"),
                description=definition.get("description"),
                version=_version(definition.get("version", "0.1")),
                build_tag=definition.get("buildTag", "latest"),
                definition=definition,
                input_schema=_input_schema(folder, definition),
                memory_mbytes=_memory(definition, options),
                timeout_secs=int(options.get("timeoutSecs", DEFAULT_TIMEOUT_SECS)),
                restart_on_error=bool(options.get("restartOnError", False)),
                max_items=options.get("maxItems"),
                environment=_environment(definition),
                simulation=_simulation(definition),
            )
        )
    except (TypeError, ValueError, AttributeError, OSError) as problem:
        raise ConfigError(f"{path}: {problem}") from problem


def _identified(actor: Actor) -> Actor:
    return replace(
        actor,
        id=derived_id("actor", actor.full_name),
        build_id=derived_id("build", actor.full_name, actor.version),
    )


def _version(value: object) -> str:
    parts = str(value).split(".")
    return ".".join(parts[:2]) if len(parts) > 1 else f"{parts[0]}.0"


def _memory(definition: dict[str, Any], options: dict[str, Any]) -> int:
    value = options.get("memoryMbytes", definition.get("defaultMemoryMbytes"))
    if not isinstance(value, int):
        # It may also be an expression over the input, which only Apify evaluates.
        return DEFAULT_MEMORY_MBYTES
    if value not in MEMORY_STEPS:
        raise ValueError(f"memory must be a power of two from 128 to 32768 megabytes, got {value}")
    return value


def _environment(definition: dict[str, Any]) -> dict[str, str]:
    values = definition.get("environmentVariables") or {}
    return {name: str(value) for name, value in values.items() if not str(value).startswith("@")}


def _simulation(definition: dict[str, Any]) -> dict[str, Any] | None:
    simulated = definition.get("simulated")
    if isinstance(simulated, dict):
        return simulated
    if not simulated:
        return None
    default = definition.get("defaultInput") or {}
    if not isinstance(default, dict):
        raise TypeError('"defaultInput" must be an object')
    return default


def _input_schema(folder: Path, definition: dict[str, Any]) -> dict[str, Any] | None:
    schema = definition.get("input")
    if isinstance(schema, dict):
        return schema
    places = (
        [folder / ".actor" / schema]
        if isinstance(schema, str)
        else [folder / ".actor" / "input_schema.json", folder / "INPUT_SCHEMA.json"]
    )
    for place in places:
        if place.is_file():
            return _json_object(place)
    if isinstance(schema, str):
        raise FileNotFoundError(f'the input schema "{schema}" is not there')
    return None


def _json_object(path: Path) -> dict[str, Any]:
    try:
        value = orjson.loads(path.read_bytes())
    except OSError as problem:
        raise ConfigError(f"{path}: cannot be read: {problem.strerror}") from problem
    except orjson.JSONDecodeError as problem:
        raise ConfigError(f"{path}: is not valid JSON: {problem}") from problem
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: must hold a JSON object")
    return value


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
