"""The input of a job: a table with templates, or a file beside the spec."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from orchestrator.errors import InputRejected
from orchestrator.model.jobs import MAX_INPUT_BYTES, Job, JobInput
from orchestrator.specfile.diagnostics import show
from orchestrator.specfile.templates.template import TemplateMistake, compile_template
from orchestrator.specfile.templates.trees import (
    Values,
    change_at,
    compiled_at,
    renderer,
    templates_in,
)
from orchestrator.specfile.text.positions import Path as FieldPath
from orchestrator.system_errors import refuse_exhaustion

JSON_TYPE = "application/json"
LATE = frozenset({"env", "needs"})
"""Names whose values are known only when a job starts."""


class InputTemplate:
    """
    The `input` of a job, compiled: a table, or one template that gives a table.

    Parts that are equal for all cells are encoded once.

    Attributes:
        late_paths: the places of strings that use `env` or `needs`; they stay unrendered.

    Raises:
        TemplateMistake: with `path` set to the place in the table.
    """

    def __init__(self, table: Any) -> None:
        self.late_paths: tuple[FieldPath, ...] = tuple(
            path for path, text in templates_in(table) if LATE & compiled_at(path, text).names
        )
        self._source = table
        self._render = renderer(table, leave=frozenset(self.late_paths))
        self._static = None if self._render else self._encode(table)

    def make(self, values: Values) -> JobInput:
        """
        The input of one job.

        Raises:
            TemplateMistake: it cannot be rendered, or the result is not a table or too large.
        """
        if self._static is not None:
            return self._static
        table = self._source if self._render is None else self._render(values)
        if not isinstance(table, dict):
            raise TemplateMistake(f"{self._source!r} gives {show(table)}; an input must be a table")
        return self._encode(table)

    def _encode(self, value: Any) -> JobInput:
        body = encoded(value)
        return JobInput(
            content_type=JSON_TYPE,
            body=body,
            sha256=hashlib.sha256(body).hexdigest(),
            size_bytes=len(body),
            late_paths=self.late_paths,
        )


class InputFiles:
    """The input files of one expansion; reads each once."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, str], JobInput] = {}

    def get(self, path: Path, content_type: str) -> JobInput:
        """
        The input in a file; does not keep it in memory.

        Raises:
            TemplateMistake: it cannot be read, is too large, or is not valid JSON.
        """
        known = self._known.get((path, content_type))
        if known is None:
            known = _file_input(path, content_type)
            self._known[path, content_type] = known
        return known


def encoded(value: Any) -> bytes:
    """
    A value as compact JSON, within the platform's limit.

    Raises:
        TemplateMistake: it cannot be written, or is too large.
    """
    try:
        body = orjson.dumps(value)
    except TypeError as error:
        raise TemplateMistake(f"the input cannot be written as JSON: {error}") from error
    if len(body) > MAX_INPUT_BYTES:
        raise TemplateMistake(
            f"the input has {len(body):,} bytes; the platform accepts at most {MAX_INPUT_BYTES:,}"
        )
    return body


def env_names(job: Job) -> frozenset[str]:
    """The environment variables that the input of a job uses."""
    if job.input.body is None or not job.input.late_paths:
        return frozenset()
    tree, names = orjson.loads(job.input.body), set[str]()

    def note(text: str) -> str:
        names.update(compile_template(text).env_names)
        return text

    for path in job.input.late_paths:
        change_at(tree, path, note)
    return frozenset(names)


def render_input(job: Job, env: Mapping[str, str], needs: object = None) -> bytes | None:
    """
    The body of a job's input with all values rendered; None for a file and for no input.

    Args:
        needs: the value of the template name `needs`.

    Raises:
        InputRejected: a secret cannot be rendered; the message has no value of the environment.
    """
    if job.input.body is None or not job.input.late_paths:
        return job.input.body
    tree = orjson.loads(job.input.body)
    values = {**job.params, "env": env, "needs": needs}

    def rendered(text: str) -> Any:
        template = compile_template(text)
        missing = sorted(template.env_names - env.keys())
        if missing:
            raise InputRejected(
                f"the input needs environment variables that are not set: {', '.join(missing)}"
            )
        try:
            return template.render(values)
        except TemplateMistake as mistake:
            if "env" not in template.names:
                raise InputRejected(f"the input: {mistake}") from mistake
            # The reason may hold the secret, and so may the error behind it.
            raise InputRejected(
                f"{text!r} in the input cannot be rendered with the values of the environment"
            ) from None

    for path in job.input.late_paths:
        change_at(tree, path, rendered)
    try:
        return encoded(tree)
    except TemplateMistake as mistake:
        raise InputRejected(f"{mistake}, with all its values rendered") from None


def _file_input(path: Path, content_type: str) -> JobInput:
    data = _read(path)
    if len(data) > MAX_INPUT_BYTES:
        size = max(path.stat().st_size, len(data))
        raise TemplateMistake(
            f"{path} has {size:,} bytes; the platform accepts at most {MAX_INPUT_BYTES:,}"
        )
    if content_type.partition(";")[0].strip().lower() == JSON_TYPE:
        try:
            orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise TemplateMistake(
                f"{path} is not valid JSON ({error}); set input_content_type if it is not JSON"
            ) from error
    return JobInput(
        content_type=content_type,
        path=str(path.absolute()),
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
    )


def _read(path: Path) -> bytes:
    """The bytes of a regular file, at most one more than an input may have."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise TemplateMistake(f"{path} is not a regular file")
        with path.open("rb") as file:
            return file.read(MAX_INPUT_BYTES + 1)
    except OSError as error:
        refuse_exhaustion(error)
        raise TemplateMistake(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise TemplateMistake(f"{str(path)!r} is not a file name") from error
