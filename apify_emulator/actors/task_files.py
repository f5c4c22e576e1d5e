"""How tasks are read from files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import orjson

from apify_emulator.actors.actor_registry import ActorRegistry
from apify_emulator.actors.task import Task, is_task_name, read_task_input, read_task_options
from apify_emulator.errors import SetupError
from apify_emulator.ids import derived_id
from apify_emulator.json_files import parse_json
from apify_emulator.refusals import ApiError


def load_tasks(folders: Iterable[Path], actors: ActorRegistry, created_at: float) -> list[Task]:
    """
    Returns the tasks of `tasks/*.json` in the folders.

    Raises:
        SetupError: a file cannot be used.
    """
    return [
        _read_task(path, actors, created_at)
        for folder in folders
        for path in sorted(folder.glob("tasks/*.json"))
    ]


def _read_task(path: Path, actors: ActorRegistry, created_at: float) -> Task:
    try:
        body = parse_json(path.read_bytes())
        if not isinstance(body, dict):
            raise SetupError(f"{path}: is not a JSON object")
        name = body.get("name", path.stem)
        if not isinstance(name, str) or not is_task_name(name):
            raise SetupError(
                f"{path}: {name!r} is not a valid task name; use 3 to 63 letters, digits and "
                "hyphens, no hyphen at either end"
            )
        return Task(
            id=derived_id("task", name),
            actor_id=actors.find_to_run(str(body.get("actor") or "")).id,
            name=name,
            options=read_task_options(body.get("options")),
            input=read_task_input(body.get("input")),
            title=body.get("title"),
            created_at=created_at,
            modified_at=created_at,
            is_from_file=True,
        )
    except orjson.JSONDecodeError as problem:
        raise SetupError(f"{path}: is not valid JSON: {problem}") from problem
    except ApiError as problem:
        raise SetupError(f"{path}: {problem.message}") from problem
