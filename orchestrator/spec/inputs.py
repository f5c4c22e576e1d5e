"""
The input of a job: a table with templates, or a file beside the spec.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from orchestrator.model.jobs import MAX_INPUT_BYTES, JobInput
from orchestrator.spec.positions import Path as FieldPath
from orchestrator.spec.templates import TemplateMistake, compile_template, is_template

JSON_TYPE = "application/json"
Values = Mapping[str, Any]


class InputTemplate:
    """
    An input table, compiled: what is static is encoded once.

    Attributes:
        secret_paths: where a string uses `env`; such strings are left as they are.

    Raises:
        TemplateMistake: with `path` set to the place in the table.
    """

    def __init__(self, table: Any) -> None:
        self.secret_paths: tuple[FieldPath, ...] = tuple(
            path
            for path, text in strings_in(table)
            if is_template(text) and "env" in compiled_at(path, text).names
        )
        self._render = _renderer(table, (), frozenset(self.secret_paths))
        self._static = None if self._render else self._encode(table)

    def make(self, values: Values, content_type: str = JSON_TYPE) -> JobInput:
        """
        The input of one job.

        Raises:
            TemplateMistake: a template cannot be rendered, or the result is no JSON or too large.
        """
        if self._static is not None:
            return self._static
        assert self._render is not None  # noqa: S101 - one of the two is set
        return self._encode(self._render(values), content_type)

    def _encode(self, value: Any, content_type: str = JSON_TYPE) -> JobInput:
        body = encoded(value)
        return JobInput(
            content_type=content_type,
            body=body,
            sha256=hashlib.sha256(body).hexdigest(),
            size_bytes=len(body),
            secret_paths=self.secret_paths,
        )


def encoded(value: Any) -> bytes:
    """
    A value as compact JSON, within the platform's limit.
    """
    try:
        body = orjson.dumps(value)
    except TypeError as error:
        raise TemplateMistake(f"the input cannot be written as JSON: {error}") from error
    if len(body) > MAX_INPUT_BYTES:
        raise TemplateMistake(
            f"the input has {len(body):,} bytes; the platform takes at most {MAX_INPUT_BYTES:,}"
        )
    return body


@lru_cache(maxsize=1024)
def file_input(path: Path, content_type: str) -> JobInput:
    """
    The input that is a file.

    Raises:
        TemplateMistake: it cannot be read, is too large, or is not the JSON that it says.
    """
    try:
        size = path.stat().st_size
        if size > MAX_INPUT_BYTES:
            raise TemplateMistake(
                f"{path} has {size:,} bytes; the platform takes at most {MAX_INPUT_BYTES:,}"
            )
        data = path.read_bytes()
    except OSError as error:
        raise TemplateMistake(f"{path}: {error.strerror}") from error
    if content_type.split(";")[0].strip() == JSON_TYPE:
        try:
            orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise TemplateMistake(
                f"{path} is no valid JSON ({error}); set input_content_type if it is none"
            ) from error
    return JobInput(
        content_type=content_type,
        path=str(path),
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
    )


def jsonable(value: Any) -> Any:
    """
    A rendered value as a JSON value: times as ISO text.

    Raises:
        TemplateMistake: a number that JSON has no word for.
    """
    match value:
        case dict():
            return {name: jsonable(inner) for name, inner in value.items()}
        case list():
            return [jsonable(inner) for inner in value]
        case datetime() | date() | time():
            return value.isoformat()
        case float() if not math.isfinite(value):
            raise TemplateMistake(f"{value} is no JSON number")
        case _:
            return value


def strings_in(value: Any, path: FieldPath = ()) -> Iterator[tuple[FieldPath, str]]:
    """
    Every string of a tree, with its place.
    """
    match value:
        case str():
            yield path, value
        case dict():
            for name, inner in value.items():
                yield from strings_in(inner, (*path, name))
        case list():
            for index, inner in enumerate(value):
                yield from strings_in(inner, (*path, index))


def compiled_at(path: FieldPath, text: str) -> Any:
    """
    A compiled template; a mistake in it carries its place.
    """
    try:
        return compile_template(text)
    except TemplateMistake as mistake:
        mistake.path = path
        raise


def replaced(tree: Any, path: FieldPath, change: Callable[[Any], Any]) -> None:
    """
    Changes the value at a place of a tree, in place.
    """
    for part in path[:-1]:
        tree = tree[part]
    tree[path[-1]] = change(tree[path[-1]])


def _renderer(
    value: Any, path: FieldPath, secret_paths: frozenset[FieldPath]
) -> Callable[[Values], Any] | None:
    """
    A function that renders a tree; None when there is nothing to render in it.
    """
    match value:
        case str() if is_template(value) and path not in secret_paths:
            return _at(path, compiled_at(path, value).render)
        case dict():
            inner = {k: _renderer(v, (*path, k), secret_paths) for k, v in value.items()}
            moving = [(name, render) for name, render in inner.items() if render is not None]
            if moving:
                return lambda values: value | {name: render(values) for name, render in moving}
        case list():
            each = [_renderer(v, (*path, i), secret_paths) for i, v in enumerate(value)]
            if any(each):
                return lambda values: [
                    old if render is None else render(values)
                    for old, render in zip(value, each, strict=True)
                ]
    return None


def _at(path: FieldPath, render: Callable[[Values], Any]) -> Callable[[Values], Any]:
    def render_here(values: Values) -> Any:
        try:
            return jsonable(render(values))
        except TemplateMistake as mistake:
            mistake.path = path
            raise

    return render_here
