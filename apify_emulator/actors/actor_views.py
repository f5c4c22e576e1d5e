"""How the API shows Actors and their builds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from apify_emulator.account import USER_ID
from apify_emulator.actors.actor import Actor
from apify_emulator.actors.build_contents import definition, readme
from apify_emulator.times import iso

_USER_COUNTS = ("totalUsers", "totalUsers7Days", "totalUsers30Days", "totalUsers90Days")


@dataclass(frozen=True, slots=True)
class RunCount:
    """How many runs an Actor has, and when the last one started; None without runs."""

    total: int = 0
    last_started_at: float | None = None


def _stats(runs: RunCount) -> dict[str, Any]:
    """Returns the statistics of an Actor, whose only user is the account."""
    last = runs.last_started_at
    return {
        "totalBuilds": 1,
        "totalRuns": runs.total,
        **dict.fromkeys(_USER_COUNTS, 1),
        "totalMetamorphs": 0,
        **({} if last is None else {"lastRunStartedAt": iso(last)}),
    }


def actor_view(
    actor: Actor, created_at: float, runs: RunCount, pricing_infos: list[dict[str, Any]]
) -> dict[str, Any]:
    """Returns an Actor as its own endpoint shows it."""
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
        "stats": _stats(runs),
        "versions": [
            {
                "versionNumber": actor.version,
                "sourceType": "SOURCE_FILES",
                "buildTag": actor.build_tag,
                "envVars": [],
                "sourceFiles": [],
            }
        ],
        "pricingInfos": pricing_infos,
        "defaultRunOptions": _default_run_options(actor),
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


def _default_run_options(actor: Actor) -> dict[str, Any]:
    return {
        "build": actor.build_tag,
        "timeoutSecs": actor.timeout_secs,
        "memoryMbytes": actor.memory_mbytes,
        "restartOnError": actor.restart_on_error,
        "maxItems": actor.max_items,
    }


def actor_summary(actor: Actor, created_at: float, runs: RunCount) -> dict[str, Any]:
    """Returns an Actor as lists show it."""
    return {
        "id": actor.id,
        "createdAt": iso(created_at),
        "modifiedAt": iso(created_at),
        "name": actor.name,
        "username": actor.username,
        "title": actor.title or actor.name,
        "stats": _stats(runs),
    }


def store_view(actor: Actor, runs: RunCount, pricing: dict[str, Any] | None) -> dict[str, Any]:
    """Returns an Actor as Apify Store lists it."""
    return {
        "id": actor.id,
        "title": actor.title or actor.name,
        "name": actor.name,
        "username": actor.username,
        "userFullName": actor.username,
        "description": actor.description or "",
        "categories": [],
        "stats": _stats(runs),
        "currentPricingInfo": pricing or {"pricingModel": "FREE"},
    }


def build_summary(actor: Actor, created_at: float) -> dict[str, Any]:
    """Returns the Actor's build as lists show it."""
    names = ("id", "actId", "status", "startedAt", "finishedAt", "buildNumber", "meta")
    view = build_view(actor, created_at)
    return {**{name: view[name] for name in names}, "usageTotalUsd": 0.0}


def build_view(actor: Actor, created_at: float) -> dict[str, Any]:
    """Returns the Actor's build."""
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
        "readme": readme(actor),
        "actorDefinition": definition(actor),
    }
