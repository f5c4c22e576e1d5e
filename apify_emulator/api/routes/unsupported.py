"""What Apify has and the emulator does not: the API's own error, with a sentence that says so."""

from __future__ import annotations

from typing import NoReturn

from apify_emulator.api.context import Context
from apify_emulator.api.router import Handler, Router
from apify_emulator.http.answers import Answer, data
from apify_emulator.http.calls import Call
from apify_emulator.refusals import not_supported, record_not_found

_ACTORS = "Actors come from folders; add a stand-in with apify-emulator add"
_VERSIONS = "an Actor has the version of its folder"
_BUILDS = "an Actor is built when its first run starts, or by apify-emulator build"
_SCHEDULES = "the emulator starts nothing by the clock"
UNSUPPORTED = (
    ("POST", "actors", _ACTORS),
    ("DELETE", "actors/{actorId}", _ACTORS),
    ("GET", "actors/{actorId}/versions", _VERSIONS),
    ("POST", "actors/{actorId}/versions", _VERSIONS),
    ("PUT", "actors/{actorId}/versions/{versionNumber}", _VERSIONS),
    ("POST", "actors/{actorId}/versions/{versionNumber}", _VERSIONS),
    ("DELETE", "actors/{actorId}/versions/{versionNumber}", _VERSIONS),
    ("GET", "actors/{actorId}/versions/{versionNumber}/env-vars", _VERSIONS),
    ("POST", "actors/{actorId}/versions/{versionNumber}/env-vars", _VERSIONS),
    ("PUT", "actors/{actorId}/versions/{versionNumber}/env-vars/{envVarName}", _VERSIONS),
    ("POST", "actors/{actorId}/versions/{versionNumber}/env-vars/{envVarName}", _VERSIONS),
    ("DELETE", "actors/{actorId}/versions/{versionNumber}/env-vars/{envVarName}", _VERSIONS),
    ("POST", "actors/{actorId}/builds", _BUILDS),
    ("POST", "actor-builds/{buildId}/abort", _BUILDS),
    ("DELETE", "actor-builds/{buildId}", _BUILDS),
    ("POST", "schedules", _SCHEDULES),
    ("PUT", "schedules/{scheduleId}", _SCHEDULES),
    ("DELETE", "schedules/{scheduleId}", _SCHEDULES),
)
# Since none of these exists, the true answer is that it is not there.
_MISSING = (
    ("actors/{actorId}/versions/{versionNumber}", "Actor version"),
    ("actors/{actorId}/versions/{versionNumber}/env-vars/{envVarName}", "Environment variable"),
    ("schedules/{scheduleId}", "Schedule"),
    ("schedules/{scheduleId}/log", "Schedule"),
)


def register(router: Router) -> None:
    """Adds these endpoints."""
    router.add("GET", "schedules", list_schedules)
    for template, noun in _MISSING:
        router.add("GET", template, _missing(noun), is_supported=False)
    for method, template, reason in UNSUPPORTED:
        router.add(method, template, _refusing(reason), is_supported=False)


async def list_schedules(context: Context, call: Call) -> Answer:  # noqa: ARG001 - a handler's form
    """Lists the schedules, of which there are none."""
    return data(call.page().envelope(0, []))


def _missing(noun: str) -> Handler:
    async def refuse(context: Context, call: Call) -> NoReturn:  # noqa: ARG001 - a handler's form
        raise record_not_found(noun)

    return refuse


def _refusing(reason: str) -> Handler:
    async def refuse(context: Context, call: Call) -> NoReturn:  # noqa: ARG001 - a handler's form
        raise not_supported(reason)

    return refuse
