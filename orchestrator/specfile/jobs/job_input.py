"""The input of a job: a table with templates and texts of files, and its late values."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import orjson

from orchestrator.errors import InputRejected
from orchestrator.model.jobs import MAX_INPUT_BYTES, Job, JobInput
from orchestrator.specfile.diagnostics import show
from orchestrator.specfile.templates.template import TemplateMistake, compile_template, is_template
from orchestrator.specfile.templates.trees import (
    Values,
    change_at,
    compiled_at,
    renderer,
    strings_in,
    templates_in,
    value_at,
)
from orchestrator.specfile.text.positions import Path as FieldPath

JSON_TYPE = "application/json"
TEXT_FILE = "text_file"
"""The only field of a table that stands for the text of a file."""
ReadText = Callable[[str], str]
LATE = frozenset({"env", "needs"})
"""Names whose values are known only when a job starts."""


class InputTemplate:
    """
    The `input` of a job, compiled: a table, or one template that gives a table.

    Parts that are equal for all cells are encoded once.

    Args:
        read_text: the text of a file that a `{ text_file = NAME }` in the table names.
        below: a table whose fields the input has too, unless it sets them itself.

    Attributes:
        late_paths: the places of strings that use `env` or `needs`; they stay unrendered.

    Raises:
        TemplateMistake: with `path` set to the place in the table.
    """

    def __init__(
        self, table: Any, read_text: ReadText, below: Mapping[str, Any] | None = None
    ) -> None:
        self.late_paths: tuple[FieldPath, ...] = tuple(
            path for path, text in templates_in(table) if LATE & compiled_at(path, text).names
        )
        self._read_text = read_text
        names = text_files(table)
        fixed = [path for path, name in names.items() if not is_template(name)]
        self._moving_texts = [path for path in names if path not in fixed]
        for path in self._moving_texts:
            if (*path, TEXT_FILE) in self.late_paths:
                raise _at(path, "the name of a file cannot use env or needs")
        # A copy, because texts take the place of tables in it.
        self._source = copy.deepcopy(table) if fixed else table
        for path in fixed:
            change_at(self._source, path, partial(self._text_at, path))
        # The content of a file is never a template.
        self._render = renderer(self._source, leave=frozenset((*self.late_paths, *fixed)))
        self._below = below
        self._static = None if self._render else self._encode(table_over(below, self._source))

    def make(self, values: Values, below: Mapping[str, Any] | None = None) -> JobInput:
        """
        The input of one job.

        Args:
            below: as above, if it differs between jobs.

        Raises:
            TemplateMistake: it cannot be rendered, or the result is not a table or too large.
        """
        if self._static is not None and below is None:
            return self._static
        table = self._source if self._render is None else self._render(values)
        if not isinstance(table, dict):
            raise TemplateMistake(f"{self._source!r} gives {show(table)}; an input must be a table")
        for path in self._moving_texts:
            change_at(table, path, partial(self._text_at, path))
        return self._encode(table_over(below or self._below, table))

    def _text_at(self, path: FieldPath, named: Mapping[str, str]) -> str:
        try:
            return self._read_text(str(named[TEXT_FILE]))
        except TemplateMistake as mistake:
            raise _at(path, str(mistake)) from mistake

    def _encode(self, value: Any) -> JobInput:
        body = encoded(value)
        return JobInput(
            content_type=JSON_TYPE,
            body=body,
            sha256=hashlib.sha256(body).hexdigest(),
            size_bytes=len(body),
            late_paths=self.late_paths,
        )


def table_over(below: Mapping[str, Any] | None, above: Any) -> Any:
    """A table with the fields of another one that it does not have itself."""
    return {**below, **above} if below else above


def text_files(table: Any) -> dict[FieldPath, str]:
    """The name in each `{ text_file = NAME }` of a table, by the place of that inner table."""
    return {
        path[:-1]: text
        for path, text in strings_in(table)
        # A table with other fields, and the input itself, may be the user's own.
        if len(path) > 1 and path[-1] == TEXT_FILE and len(value_at(table, path[:-1])) == 1
    }


def _at(path: FieldPath, message: str) -> TemplateMistake:
    mistake = TemplateMistake(message)
    mistake.path = (*path, TEXT_FILE)
    return mistake


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
