"""Files beside the spec that are inputs, or texts in inputs."""

from __future__ import annotations

import hashlib
import stat
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any

import orjson

from orchestrator.model.jobs import MAX_INPUT_BYTES, JobInput
from orchestrator.specfile.diagnostics import show
from orchestrator.specfile.jobs.job_input import JSON_TYPE
from orchestrator.specfile.templates.template import TemplateMistake
from orchestrator.system_errors import refuse_exhaustion

MOST_CACHED = 64
"""How many different texts and tables stay in memory."""


class InputFiles:
    """The input files of one expansion; reads each once, as long as there are not too many."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, str], JobInput] = {}
        self._texts: dict[Path, str] = {}
        self._tables: dict[Path, dict[str, Any]] = {}

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

    def text(self, path: Path) -> str:
        """
        The text of a file.

        Raises:
            TemplateMistake: it cannot be read, is too large, or is not UTF-8.
        """
        text = self._texts.get(path)
        if text is None:
            try:
                text = _bounded(path).decode("utf-8-sig")
            except UnicodeDecodeError as error:
                place = f"found the byte 0x{error.object[error.start]:02x} at {error.start:,}"
                raise TemplateMistake(f"{path} is not UTF-8 text: {place}") from error
            _keep(self._texts, path, text)
        return text

    def table(self, path: Path) -> dict[str, Any]:
        """
        The table in a JSON file.

        Raises:
            TemplateMistake: it cannot be read, is too large, or is not a JSON object.
        """
        table = self._tables.get(path)
        if table is None:
            table = _parsed(path, _bounded(path))
            if not isinstance(table, dict):
                raise TemplateMistake(
                    f"{path} must be a JSON object to go with input, found {show(table)}"
                )
            _keep(self._tables, path, table)
        return table


def _keep(cache: dict[Path, Any], path: Path, value: Any) -> None:
    if len(cache) < MOST_CACHED:
        cache[path] = value


def _file_input(path: Path, content_type: str) -> JobInput:
    data = _bounded(path)
    if content_type.partition(";")[0].strip().lower() == JSON_TYPE:
        _parsed(path, data)
    return JobInput(
        content_type=content_type,
        path=str(path.absolute()),
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
    )


def _parsed(path: Path, data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if data.startswith(BOM_UTF8):
            raise TemplateMistake(
                f"{path} begins with a byte order mark, which JSON must not have; save it as UTF-8 "
                "without one"
            ) from error
        raise TemplateMistake(
            f"{path} is not valid JSON ({error}); set input_content_type if it is not JSON"
        ) from error


def _bounded(path: Path) -> bytes:
    data = _read(path)
    if len(data) > MAX_INPUT_BYTES:
        size = max(path.stat().st_size, len(data))
        raise TemplateMistake(
            f"{path} has {size:,} bytes; the platform accepts at most {MAX_INPUT_BYTES:,}"
        )
    return data


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
