"""The files and the environment variables that a spec names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.errors import UsageError
from orchestrator.specfile import LoadedSpec
from orchestrator.specfile.jobs.job_input import text_files
from orchestrator.specfile.templates.template import is_template
from orchestrator.specfile.text.positions import Path as FieldPath

ADVICE = "copy the spec and its files into an image of your own, and change the manifest"


def files_of(loaded: LoadedSpec) -> dict[str, str]:
    """
    The text of a spec and of each file that it names, by their paths relative to its folder.

    The spec is the first one.

    Raises:
        UsageError: a file is outside the folder of the spec, is named by a template, is not text or
            cannot be read.
    """
    found: dict[str, str] = {}
    for name, path in paths_of(loaded, ADVICE).items():
        try:
            found[name] = path.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise UsageError(f"{path} is not UTF-8 text: {ADVICE}") from error
        except OSError as error:
            raise UsageError(f"{path} cannot be read ({error.strerror})") from error
    return found


def paths_of(loaded: LoadedSpec, advice: str) -> dict[str, Path]:
    """
    The paths of a spec and of each file that it names, by their paths relative to its folder.

    The spec is the first one.

    Args:
        advice: what to do about a file outside that folder.

    Raises:
        UsageError: a file is outside the folder of the spec, or named by a template.
    """
    home = loaded.path.absolute().parent
    own = [document.path for document in reversed(loaded.documents.files)]
    found: dict[str, Path] = {}
    for path in (*own, *_data_files(loaded)):
        # Not resolved, because a link to a file elsewhere is a file here.
        place = Path(os.path.normpath(path.absolute()))
        if not place.is_relative_to(home):
            raise UsageError(f"{path} is outside the folder of the spec: {advice}")
        found[str(place.relative_to(home))] = place
    return found


def _data_files(loaded: LoadedSpec) -> Iterator[Path]:
    """
    The files with parameters, inputs and texts of inputs.

    Raises:
        UsageError: a template names one of them.
    """
    data = loaded.documents.data
    jobs = ((("jobs", number), table) for number, table in enumerate(data["jobs"]))
    for place, table in ((("defaults",), data.get("defaults") or {}), *jobs):
        names: dict[FieldPath, str | None] = {("input_file",): table.get("input_file")}
        inputs: dict[FieldPath, Any] = {("input",): table.get("input")}
        for index, rule in enumerate(table.get("rules") or ()):
            inputs["rules", index, "input"] = rule.get("input")
        for part, tree in inputs.items():
            for path, text in text_files(tree).items():
                names[*part, *path] = text
        for parameter, values in (table.get("matrix") or {}).items():
            if isinstance(values, dict):
                names["matrix", parameter] = values.get("file")
        for path, name in names.items():
            if name is None:
                continue
            if is_template(name):
                raise UsageError(
                    f"{loaded.path}: a template names the file {name}, so that it is not known "
                    "which files belong to the spec: write a table of jobs for each of them"
                )
            yield loaded.folder((*place, *path)) / name
