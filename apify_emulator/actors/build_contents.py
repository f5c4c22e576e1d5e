"""What a build shows of the files of its Actor: the README and the definition."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from apify_emulator.actors.actor import Actor
from apify_emulator.json_files import parse_json

# A field of another type would break the clients that check types.
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "dockerfile": str,
    "dockerContextDir": str,
    "readme": str,
    "changelog": str,
    "defaultMemoryMbytes": (int, str),
    "minMemoryMbytes": int,
    "maxMemoryMbytes": int,
    "usesStandbyMode": bool,
}
_VERSION = re.compile(r"\d+(\.\d+)+")


def readme(actor: Actor) -> str | None:
    """Returns the README of an Actor; None without one."""
    if actor.folder is None:
        return None
    named = actor.definition.get("readme")
    names = [named] if isinstance(named, str) else ["README.md", "../README.md"]
    for name in names:
        try:
            return (actor.folder / ".actor" / name).read_text(errors="replace")
        except (OSError, ValueError):
            continue
    return None


def definition(actor: Actor) -> dict[str, Any]:
    """Returns the `actor.json` of an Actor, with the schemas that it names in their places."""
    written = str(actor.definition.get("version", ""))
    found = {
        "actorSpecification": 1,
        "name": actor.name,
        "version": written if _VERSION.fullmatch(written) else actor.version,
        "buildTag": actor.build_tag,
        "input": actor.input_schema or {},
        "environmentVariables": actor.environment,
    }
    for name, kind in _FIELDS.items():
        if isinstance(actor.definition.get(name), kind):
            found[name] = actor.definition[name]
    storages = _storages(actor)
    return {**found, "storages": storages} if storages else found


def _storages(actor: Actor) -> dict[str, Any]:
    named = actor.definition.get("storages")
    if not isinstance(named, dict):
        return {}
    schemas = {name: _schema(actor.folder, schema) for name, schema in named.items()}
    return {name: schema for name, schema in schemas.items() if schema is not None}


def _schema(folder: Path | None, schema: object) -> dict[str, Any] | None:
    """Returns a schema that stands in `actor.json`, or in a file beside it; None if it cannot."""
    if isinstance(schema, str) and folder is not None:
        try:
            schema = parse_json((folder / ".actor" / schema).read_bytes())
        except (OSError, ValueError):
            return None
    return schema if isinstance(schema, dict) else None
