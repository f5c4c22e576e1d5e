"""Compares requests and examples with Apify's official description of the API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import jsonschema_rs
import orjson

DESCRIPTION = Path(__file__).parent.parent / "data" / "apify-openapi.json"


@cache
def description() -> dict[str, Any]:
    """The description, parsed."""
    found: dict[str, Any] = orjson.loads(DESCRIPTION.read_bytes())
    return found


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """A part of the description, with its reference resolved."""
    while "$ref" in part:
        target: Any = description()
        for step in part["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        part = target
    return part


def mistakes_of_request(
    method: str, url: str, *, content_type: str | None = None, body: bytes | None = None
) -> list[str]:
    """
    The mistakes of a request: an unknown path, method or parameter, or a value of a wrong type.

    The old prefix `acts` counts as `actors`, as the description allows.
    """
    parts = urlsplit(url)
    found = _operation(method, parts.path)
    if found is None:
        return [f"no such endpoint: {method} {parts.path}"]
    operation, in_path = found
    parameters = [resolved(each) for each in operation.get("parameters", [])]
    in_query = {each["name"]: each for each in parameters if each["in"] == "query"}
    mistakes = []
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        if name not in in_query:
            mistakes.append(f"{method} {parts.path} has no parameter {name}")
        elif not _fits(in_query[name], text):
            mistakes.append(f"parameter {name} cannot be {text!r}")
    mistakes += [f"the path holds {value!r}" for value in in_path if not unquote(value).strip()]
    if body is not None:
        mistakes += _mistakes_of_body(operation, content_type, body)
    return mistakes


def mistakes_of_answer(method: str, path: str, status: int, answer: Any) -> list[str]:
    """The mistakes in the JSON of an answer."""
    found = _operation(method, path)
    assert found is not None, path
    response = resolved(found[0]["responses"][str(status)])
    schema = response["content"]["application/json"]["schema"]
    return [str(error.message) for error in _validator_of(schema).iter_errors(answer)]


def documented_errors(method: str, path: str) -> Iterator[tuple[int, str]]:
    """The status and error type of each refusal that the description of an endpoint lists."""
    found = _operation(method, path)
    assert found is not None, path
    for status, response in found[0]["responses"].items():
        if int(status) >= 400:
            content = resolved(response).get("content", {}).get("application/json", {})
            for example in examples_in(content):
                yield int(status), example["error"]["type"]


def examples() -> Iterator[tuple[str, str, int, Any]]:
    """Method, path, status and JSON of each example of an answer."""
    for path, operations in description()["paths"].items():
        for method, operation in operations.items():
            if not isinstance(operation, dict) or "responses" not in operation:
                continue
            for status, response in operation["responses"].items():
                content = resolved(response).get("content", {}).get("application/json", {})
                for example in examples_in(content):
                    yield method.upper(), path, int(status), example


def examples_in(content: dict[str, Any]) -> Iterator[Any]:
    """The examples of one content type."""
    if "example" in content:
        yield content["example"]
    for example in content.get("examples", {}).values():
        value = resolved(example).get("value")
        if value is not None:
            yield value


def fields_of(schema: str) -> set[str]:
    """The names of all fields of a named schema."""

    def fields(part: dict[str, Any]) -> set[str]:
        part = resolved(part)
        names = set(part.get("properties", {}))
        for key in ("allOf", "anyOf", "oneOf"):
            for each in part.get(key, []):
                names |= fields(each)
        return names

    return fields(description()["components"]["schemas"][schema])


def _operation(method: str, path: str) -> tuple[dict[str, Any], list[str]] | None:
    path = re.sub(r"^/v2/acts(?=/|$)", "/v2/actors", path)
    for template in sorted(description()["paths"], key=lambda each: (each.count("{"), each)):
        pattern = re.sub(r"\{[^}]+\}", "([^/]+)", template)
        match = re.fullmatch(pattern, path)
        if match and method.lower() in description()["paths"][template]:
            return description()["paths"][template][method.lower()], list(match.groups())
    return None


def _fits(parameter: dict[str, Any], text: str) -> bool:
    schema = resolved(parameter["schema"])
    value: Any = text
    match schema.get("type"):
        case "number" | "integer":
            try:
                value = float(text) if "." in text else int(text)
            except ValueError:
                return False
        case "boolean":
            if text not in {"true", "false"}:
                return False
            value = text == "true"
        case "array":
            value = text.split(",")
    return _validator_of(schema).is_valid(value)


def _mistakes_of_body(
    operation: dict[str, Any], content_type: str | None, body: bytes
) -> list[str]:
    if "requestBody" not in operation:
        return ["this endpoint takes no body"]
    content = resolved(operation["requestBody"])["content"]
    kind = (content_type or "").partition(";")[0]
    schema = content.get(kind, content.get("*/*"))
    if schema is None:
        return [f"the content type {kind!r} is not taken, only {sorted(content)}"]
    if kind == "application/json" and "schema" in schema:
        errors = _validator_of(schema["schema"]).iter_errors(orjson.loads(body))
        return [str(error.message) for error in errors]
    return []


def _validator_of(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    return _compiled(orjson.dumps(schema, option=orjson.OPT_SORT_KEYS))


@cache
def _compiled(schema: bytes) -> jsonschema_rs.Draft202012Validator:
    components = description()["components"]
    return jsonschema_rs.Draft202012Validator(
        {**orjson.loads(schema), "components": components}, validate_formats=True
    )
