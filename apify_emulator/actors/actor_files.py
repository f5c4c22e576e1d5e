"""How Actors are read from folders, and what is wrong with an `actor.json`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from apify_emulator.account import USERNAME
from apify_emulator.actors.actor import (
    DEFAULT_MEMORY_MBYTES,
    DEFAULT_TIMEOUT_SECS,
    MEMORY_STEPS,
    Actor,
)
from apify_emulator.actors.pricing import checked_pricing, pricing_of_events
from apify_emulator.errors import SetupError
from apify_emulator.ids import derived_id
from apify_emulator.json_files import parse_json

SIMULATED = "orchestrator/simulated"
"""The Actor that is built in."""

_DEFINITION = Path(".actor") / "actor.json"
# The convention of Apify's templates.
_EVENTS = Path(".actor") / "pay_per_event.json"
# A name becomes a part of URLs, so few characters are allowed.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")


def load_actors(folders: Iterable[Path]) -> Iterator[Actor]:
    """
    Yields the Actors in the folders and their direct subfolders, and the built-in one.

    Raises:
        SetupError: a folder is missing, or an `actor.json` cannot be used; at the end, after all
            Actors that can be used.
    """
    yield _identified(Actor(full_name=SIMULATED, simulation={}, title="Simulated Actor"))
    seen: dict[str, Path | None] = {SIMULATED: None}
    problems: list[str] = []
    for folder in _actor_folders(folders):
        try:
            actor = read_actor(folder)
        except SetupError as problem:
            problems.append(str(problem))
            continue
        # The API finds Actors without regard to case, so names must differ in more.
        if actor.full_name.lower() in seen:
            first = seen[actor.full_name.lower()] or "the built-in Actors"
            problems.append(
                f"{folder}: the Actor {actor.full_name} is already in {first}; rename one of them"
            )
            continue
        seen[actor.full_name.lower()] = folder
        yield actor
    if problems:
        raise SetupError("\n".join(problems))


def folders_without_actors(folders: Iterable[Path]) -> list[str]:
    """Returns a message for each folder that exists and has no Actor."""
    return [
        f"{folder}: has no Actor; an Actor is this folder, or one directly in it, with a file "
        ".actor/actor.json"
        for folder in folders
        if folder.is_dir() and not any(_actor_folders((folder,)))
    ]


def _actor_folders(folders: Iterable[Path]) -> Iterator[Path]:
    found: set[Path] = set()
    for folder in folders:
        if not folder.is_dir():
            raise SetupError(f"{folder}: no such folder of Actors; name an existing one")
        for candidate in (folder, *sorted(folder.iterdir())):
            # Two of the folders can overlap, directly or over a link.
            place = Path(os.path.realpath(candidate))
            if place not in found and (candidate / _DEFINITION).is_file():
                found.add(place)
                yield place


def changed_at(folder: Path) -> tuple[int, ...]:
    """Returns when the files that describe an Actor changed; 0 for a file that does not exist."""
    times = []
    for path in (folder / _DEFINITION, folder / _EVENTS, *_schema_places(folder)):
        try:
            times.append(path.stat().st_mtime_ns)
        except OSError:
            times.append(0)
    return tuple(times)


def read_actor(folder: Path) -> Actor:
    """
    Returns the Actor of a folder.

    Raises:
        SetupError: a file of it cannot be used.
    """
    path = folder / _DEFINITION
    changed = changed_at(folder)
    definition = _json_object(path)
    name = definition.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SetupError(f'{path}: "name" must be a plain name like "my-actor", found {name!r}')
    options = definition.get("defaultRunOptions") or {}
    try:
        return _identified(
            Actor(
                full_name=owned_name(name),
                folder=folder,
                title=definition.get("title"),
                description=definition.get("description"),
                version=_version(definition.get("version", "0.1")),
                build_tag=str(definition.get("buildTag") or "latest"),
                definition=definition,
                input_schema=_input_schema(folder, definition),
                memory_mbytes=_memory(definition, options),
                timeout_secs=int(options.get("timeoutSecs", DEFAULT_TIMEOUT_SECS)),
                restart_on_error=bool(options.get("restartOnError", False)),
                max_items=_max_items(options),
                environment=_environment(definition),
                simulation=_simulation(definition),
                is_stand_in=bool(definition.get("standIn")),
                pricing_infos=_pricing(folder, definition),
                changed=changed,
            )
        )
    except (TypeError, ValueError, AttributeError, OSError) as problem:
        raise SetupError(f"{path}: {problem}") from problem


def owned_name(name: str) -> str:
    """`username/name`; `me` is the account itself, as in the paths of the API."""
    owner, _, own = name.rpartition("/")
    return f"{USERNAME if owner in ('', 'me') else owner}/{own}"


def _identified(actor: Actor) -> Actor:
    return replace(
        actor,
        id=derived_id("actor", actor.full_name),
        build_id=derived_id("build", actor.full_name, actor.version),
    )


def _version(value: object) -> str:
    # A build number has three parts: the version is the first two.
    parts = str(value).split(".")
    return ".".join(parts[:2]) if len(parts) > 1 else f"{parts[0]}.0"


def _memory(definition: dict[str, Any], options: dict[str, Any]) -> int:
    value = options.get("memoryMbytes", definition.get("defaultMemoryMbytes"))
    if not isinstance(value, int):
        # It can also be an expression over the input, which only Apify evaluates.
        return DEFAULT_MEMORY_MBYTES
    if value not in MEMORY_STEPS:
        raise ValueError(f"memory must be a power of two from 128 to 32768 MB, found {value}")
    return value


def _max_items(options: dict[str, Any]) -> int | None:
    value: int | None = options.get("maxItems")
    if value is not None and not isinstance(value, int):
        raise TypeError(f'"maxItems" must be a whole number, found {value!r}')
    return value


def _environment(definition: dict[str, Any]) -> dict[str, str]:
    values = definition.get("environmentVariables") or {}
    # A value like `@name` refers to a secret in Apify's CLI, which does not exist here.
    return {name: str(value) for name, value in values.items() if not str(value).startswith("@")}


def _simulation(definition: dict[str, Any]) -> dict[str, Any] | None:
    if definition.get("standIn"):
        return {}
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
    places = [folder / ".actor" / schema] if isinstance(schema, str) else _schema_places(folder)
    for place in places:
        if place.is_file():
            return _json_object(place)
    if isinstance(schema, str):
        raise FileNotFoundError(f'the input schema "{schema}" does not exist')
    return None


def _schema_places(folder: Path) -> list[Path]:
    return [folder / ".actor" / "input_schema.json", folder / "INPUT_SCHEMA.json"]


def _pricing(folder: Path, definition: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    infos = definition.get("pricingInfos")
    if infos:
        return tuple(checked_pricing(info, 0.0) for info in infos)
    path = folder / _EVENTS
    if not path.is_file():
        return ()
    try:
        return tuple(pricing_of_events(_json_object(path)))
    except (TypeError, ValueError) as problem:
        raise SetupError(f"{path}: {problem}") from problem


def _json_object(path: Path) -> dict[str, Any]:
    try:
        value = parse_json(path.read_bytes())
    except OSError as problem:
        raise SetupError(f"{path}: cannot be read: {problem.strerror}") from problem
    except orjson.JSONDecodeError as problem:
        raise SetupError(f"{path}: is not valid JSON: {problem}") from problem
    if not isinstance(value, dict):
        raise SetupError(f"{path}: is not a JSON object")
    return value
