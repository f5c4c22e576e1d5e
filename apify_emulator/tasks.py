"""
Tasks: an Actor with options and an input of its own, from files or made through the API.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from apify_emulator.account import USER_ID, USERNAME
from apify_emulator.actors import ActorBook, full_name
from apify_emulator.errors import SetupError
from apify_emulator.ids import derived_id, iso, new_id, now
from apify_emulator.journal import Journal
from apify_emulator.refusals import ApiError, invalid_input, record_not_found

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]", re.IGNORECASE)
_OPTIONS = frozenset(
    {
        "build",
        "timeoutSecs",
        "memoryMbytes",
        "maxItems",
        "maxTotalChargeUsd",
        "restartOnError",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """
    One task.

    Attributes:
        options: as the API names them; what is missing comes from the Actor.
        is_from_file: whether it is read anew at each start; the journal leaves it out.
    """

    id: str
    actor_id: str
    name: str
    options: dict[str, Any]
    input: dict[str, Any] | None
    title: str | None = None
    created_at: float
    modified_at: float
    is_from_file: bool = False


class TaskBook:
    """
    All tasks.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.by_id: dict[str, Task] = {}

    def load(self, documents: dict[str, dict[str, Any]], files: Iterable[Task]) -> None:
        """
        Take up the tasks of the journal and of files; a file wins over an older task of its name.
        """
        from_files = {task.name.lower(): task for task in files}
        for task in (Task(**document) for document in documents.values()):
            if task.name.lower() not in from_files:
                self.by_id[task.id] = task
        self.by_id.update((task.id, task) for task in from_files.values())

    def find(self, reference: str) -> Task:
        """
        Return the task that a path names: an id, `username~name` or `~name`.

        Raises:
            ApiError: there is none (404).
        """
        task = self.by_id.get(reference)
        if task is None:
            owner, _, name = full_name(reference).partition("/")
            if owner.lower() == USERNAME:
                task = self._named(name)
        if task is None:
            raise record_not_found("Actor task")
        return task

    def create(self, body: dict[str, Any], actors: ActorBook) -> Task:
        """
        Make a task as `POST actor-tasks` does.
        """
        actor = actors.find(str(body.get("actId") or ""))
        moment = now()
        task = Task(
            id=new_id(),
            actor_id=actor.id,
            name=self._free_name(body.get("name")),
            options=_options(body.get("options")),
            input=_input(body.get("input")),
            title=body.get("title"),
            created_at=moment,
            modified_at=moment,
        )
        self._keep(task)
        return task

    def update(self, task: Task, body: dict[str, Any]) -> Task:
        """
        Change what the body names and leave the rest.
        """
        changes: dict[str, Any] = {"modified_at": now()}
        if "name" in body and body["name"] != task.name:
            changes["name"] = self._free_name(body["name"])
        if "options" in body:
            changes["options"] = {**task.options, **_options(body["options"])}
        if "input" in body:
            changes["input"] = _input(body["input"])
        if "title" in body:
            changes["title"] = body["title"]
        changed = replace(task, **changes)
        self._keep(changed)
        return changed

    def delete(self, task: Task) -> None:
        """
        Remove a task; its runs stay.
        """
        del self.by_id[task.id]
        self._journal.drop("task", task.id)

    def _named(self, name: str) -> Task | None:
        for task in self.by_id.values():
            if task.name.lower() == name.lower():
                return task
        return None

    def _free_name(self, name: object) -> str:
        if name is None:
            return f"task-{new_id().lower()}"
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise invalid_input(
                f"Task name must be 3 to 63 letters, digits and hyphens inside, got {name!r}"
            )
        if self._named(name) is not None:
            raise ApiError(
                409, "actor-task-name-not-unique", f'There is already a task with name "{name}"'
            )
        return name

    def _keep(self, task: Task) -> None:
        self.by_id[task.id] = task
        if not task.is_from_file:
            self._journal.put("task", task.id, task)


def _options(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid_input('"options" must be an object')
    return {name: option for name, option in value.items() if name in _OPTIONS}


def _input(value: object) -> dict[str, Any] | None:
    if value is not None and not isinstance(value, dict):
        raise invalid_input('"input" must be an object')
    return value


def load_tasks(folders: Iterable[Path], actors: ActorBook, created_at: float) -> list[Task]:
    """
    Return the tasks of `tasks/*.json` in the folders.

    Raises:
        SetupError: a file cannot be used.
    """
    return [
        _read_task(path, actors, created_at)
        for folder in folders
        for path in sorted(folder.glob("tasks/*.json"))
    ]


def _read_task(path: Path, actors: ActorBook, created_at: float) -> Task:
    try:
        body = orjson.loads(path.read_bytes())
        if not isinstance(body, dict):
            raise SetupError(f"{path}: must hold a JSON object")
        name = body.get("name", path.stem)
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise SetupError(f"{path}: {name!r} is no name of a task")
        return Task(
            id=derived_id("task", name),
            actor_id=actors.find(str(body.get("actor") or "")).id,
            name=name,
            options=_options(body.get("options")),
            input=_input(body.get("input")),
            title=body.get("title"),
            created_at=created_at,
            modified_at=created_at,
            is_from_file=True,
        )
    except orjson.JSONDecodeError as problem:
        raise SetupError(f"{path}: is not valid JSON: {problem}") from problem
    except ApiError as problem:
        raise SetupError(f"{path}: {problem.message}") from problem


def task_view(task: Task, total_runs: int) -> dict[str, Any]:
    """
    Return a task as its own endpoint shows it.
    """
    return {
        **_brief(task, total_runs),
        "title": task.title,
        "options": task.options,
        "input": task.input or {},
    }


def short_view(task: Task, actors: ActorBook, total_runs: int) -> dict[str, Any]:
    """
    Return a task as lists show it.
    """
    actor = actors.by_id.get(task.actor_id)
    return {
        **_brief(task, total_runs),
        "actName": actor.name if actor else None,
        "actUsername": actor.username if actor else None,
    }


def _brief(task: Task, total_runs: int) -> dict[str, Any]:
    return {
        "id": task.id,
        "userId": USER_ID,
        "actId": task.actor_id,
        "name": task.name,
        "username": USERNAME,
        "createdAt": iso(task.created_at),
        "modifiedAt": iso(task.modified_at),
        "stats": {"totalRuns": total_runs},
    }
