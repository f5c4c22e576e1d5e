"""What Apify has and the emulator does not: the API's own error, with a sentence that says so."""

from __future__ import annotations

from typing import NoReturn

from apify_emulator.api.context import Context
from apify_emulator.api.router import Handler, Router
from apify_emulator.http.calls import Call
from apify_emulator.refusals import not_supported

_ACTORS = "Actors come from folders; add a stand-in with apify-emulator add"
_VERSIONS = "an Actor has the version of its folder"
_BUILDS = "an Actor is built when its first run starts, or by apify-emulator build"
_SCHEDULES = "the emulator starts nothing by the clock"
UNSUPPORTED = (
    ("POST", "actors", _ACTORS),
    ("DELETE", "actors/{actorId}", _ACTORS),
    ("GET", "actors/{actorId}/versions", _VERSIONS),
    ("POST", "actors/{actorId}/versions", _VERSIONS),
    ("GET", "actors/{actorId}/versions/{versionNumber}", _VERSIONS),
    ("PUT", "actors/{actorId}/versions/{versionNumber}", _VERSIONS),
    ("POST", "actors/{actorId}/versions/{versionNumber}", _VERSIONS),
    ("DELETE", "actors/{actorId}/versions/{versionNumber}", _VERSIONS),
    ("GET", "actors/{actorId}/versions/{versionNumber}/env-vars", _VERSIONS),
    ("POST", "actors/{actorId}/versions/{versionNumber}/env-vars", _VERSIONS),
    ("GET", "actors/{actorId}/versions/{versionNumber}/env-vars/{envVarName}", _VERSIONS),
    ("PUT", "actors/{actorId}/versions/{versionNumber}/env-vars/{envVarName}", _VERSIONS),
    ("POST", "actors/{actorId}/versions/{versionNumber}/env-vars/{envVarName}", _VERSIONS),
    ("DELETE", "actors/{actorId}/versions/{versionNumber}/env-vars/{envVarName}", _VERSIONS),
    ("POST", "actors/{actorId}/builds", _BUILDS),
    ("POST", "actor-builds/{buildId}/abort", _BUILDS),
    ("DELETE", "actor-builds/{buildId}", _BUILDS),
    ("GET", "schedules", _SCHEDULES),
    ("POST", "schedules", _SCHEDULES),
    ("GET", "schedules/{scheduleId}", _SCHEDULES),
    ("PUT", "schedules/{scheduleId}", _SCHEDULES),
    ("DELETE", "schedules/{scheduleId}", _SCHEDULES),
    ("GET", "schedules/{scheduleId}/log", _SCHEDULES),
)


def register(router: Router) -> None:
    """Adds these endpoints."""
    for method, template, reason in UNSUPPORTED:
        router.add(method, template, _refusing(reason), is_supported=False)


def _refusing(reason: str) -> Handler:
    async def refuse(context: Context, call: Call) -> NoReturn:  # noqa: ARG001 - a handler's form
        raise not_supported(reason)

    return refuse
