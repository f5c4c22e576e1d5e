"""Compares every answer of the emulator with Apify's official description of the API."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson

from apify_emulator import Answered, Emulator, EmulatorOptions, serve_emulator

_DESCRIPTION = Path(__file__).parent.parent / "data" / "apify-openapi.json"
# Answers with content that a user stored, whatever example the description shows.
_USERS_OWN = ("/records/{recordKey}", "/run-sync", "/run-sync-get-dataset-items")
_METHODS = frozenset({"get", "put", "post", "delete", "head", "patch"})


@cache
def _description() -> dict[str, Any]:
    description: dict[str, Any] = orjson.loads(_DESCRIPTION.read_bytes())
    return description


@cache
def _templates() -> list[tuple[re.Pattern[str], str]]:
    """A pattern for each path; those with fewer parameters are first."""
    paths = sorted(_description()["paths"], key=lambda path: (path.count("{"), path))
    return [
        (
            re.compile("/".join("[^/]+" if part[:1] == "{" else part for part in path.split("/"))),
            path,
        )
        for path in paths
    ]


@cache
def _template(path: str) -> str | None:
    canonical = re.sub(r"^/v2/acts(?=/|$)", "/v2/actors", path)
    for pattern, template in _templates():
        if pattern.fullmatch(canonical):
            return template
    return None


@cache
def _validator(
    template: str, method: str, status: int
) -> jsonschema_rs.Draft202012Validator | None:
    """The validator for the JSON of an answer; None where the description has no schema."""
    operation = _description()["paths"][template].get(method)
    if operation is None:
        return None
    response = operation["responses"].get(str(status))
    if response is None:
        return None
    while "$ref" in response:
        response = _description()["components"]["responses"][response["$ref"].rpartition("/")[2]]
    content = response.get("content", {}).get("application/json")
    if content is None or "schema" not in content:
        return None
    return _compiled(content["schema"])


@cache
def compile_validators() -> None:
    """Makes those of all answers without an error; a fork server does so before it forks."""
    for template, operations in _description()["paths"].items():
        for method in _METHODS & operations.keys():
            for status in operations[method]["responses"]:
                if status.startswith("2") and not template.endswith(_USERS_OWN):
                    _validator(template, method, int(status))


def _compiled(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    # Only with the schemas that it needs: to hand over all of them takes most of the time.
    needed: dict[str, Any] = {}
    names = set(_names_in(schema))
    while names:
        name = names.pop()
        needed[name] = _description()["components"]["schemas"][name]
        names |= _named_by(name) - needed.keys()
    return jsonschema_rs.Draft202012Validator(
        {**schema, "components": {"schemas": needed}}, validate_formats=True
    )


@cache
def _named_by(name: str) -> frozenset[str]:
    """The schemas that a named one refers to."""
    return frozenset(_names_in(_description()["components"]["schemas"][name]))


def _names_in(schema: dict[str, Any]) -> list[str]:
    return re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', json.dumps(schema))


@cache
def _error_envelope() -> jsonschema_rs.Draft202012Validator:
    return _compiled({"$ref": "#/components/schemas/ErrorResponse"})


class ContractWatch:
    """
    Checks every answer and records what the description does not allow.

    Attributes:
        mistakes: one line each; empty if all answers keep the contract.
        seen: how many answers were checked.
    """

    def __init__(self) -> None:
        self.mistakes: list[str] = []
        self.seen = 0

    def on_answer(self, answered: Answered) -> None:
        """Checks one answer."""
        self.seen += 1
        place = f"{answered.method} {answered.path} {answered.status}"
        if "X-RateLimit-Limit" not in answered.headers:
            self.mistakes.append(f"{place}: no X-RateLimit-Limit")
        if answered.status >= 500:
            self.mistakes.append(f"{place}: the platform must not fail by accident")
        problem = _problem(answered)
        if problem is not None:
            self.mistakes.append(f"{place}: {problem}")

    def assert_kept(self) -> None:
        """Fails if any answer broke the contract."""
        assert not self.mistakes, "\n".join(self.mistakes)


def _problem(answered: Answered) -> str | None:
    content_type = answered.headers.get("Content-Type", "").partition(";")[0]
    if not answered.body or content_type != "application/json":
        return None if answered.status < 400 else "an error without a JSON body"
    validator = _validator_of(answered)
    if validator is None and answered.status >= 400:
        validator = _error_envelope()
    if validator is None:
        return None
    for error in validator.iter_errors(orjson.loads(answered.body)):
        where = "/".join(str(part) for part in error.instance_path)
        return f"{where}: {error.message[:300]}"
    return None


def _validator_of(answered: Answered) -> jsonschema_rs.Draft202012Validator | None:
    template = _template(answered.path)
    method = answered.method.lower()
    if template is None or method not in _METHODS:
        return None
    if answered.status < 400 and template.endswith(_USERS_OWN):
        return None
    return _validator(template, method, answered.status)


@asynccontextmanager
async def watched_emulator(options: EmulatorOptions) -> AsyncIterator[Emulator]:
    """Runs an emulator and fails at its end if one of its answers broke the contract."""
    watch = ContractWatch()
    async with serve_emulator(options, on_answer=watch.on_answer) as platform:
        yield platform
    watch.assert_kept()
