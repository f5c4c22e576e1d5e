"""What a task is: an Actor with its own options and input, from a file or the API."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from apify_emulator.account import USERNAME
from apify_emulator.actors.actor_registry import ActorRegistry, full_name
from apify_emulator.ids import new_id
from apify_emulator.journal import Journal
from apify_emulator.refusals import ApiError, invalid_input, record_not_found
from apify_emulator.times import now

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]", re.IGNORECASE)
_NUMBER = (int, float)
_OPTIONS: dict[str, type | tuple[type, ...]] = {
    "build": str,
    "timeoutSecs": _NUMBER,
    "memoryMbytes": _NUMBER,
    "maxItems": _NUMBER,
    "maxTotalChargeUsd": _NUMBER,
    "restartOnError": bool,
}


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


class TaskRegistry:
    """All tasks."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.by_id: dict[str, Task] = {}
        self._files: dict[str, Task] = {}

    def load(self, documents: dict[str, dict[str, Any]], files: Iterable[Task]) -> None:
        """Loads the tasks of the journal and of files; a file wins over an older task."""
        from_files = {task.name.lower(): task for task in files}
        for task in (Task(**document) for document in documents.values()):
            if task.name.lower() not in from_files:
                self.by_id[task.id] = task
        self._files = {task.id: task for task in from_files.values()}
        self.by_id.update(self._files)

    def clear(self) -> None:
        """Deletes the tasks of the API, and undoes the changes of those in files."""
        for task_id in self.by_id.keys() - self._files.keys():
            self._journal.drop("task", task_id)
        self.by_id = dict(self._files)

    def find(self, reference: str) -> Task:
        """
        Returns the task that a path names: an id, `username~name` or `~name`.

        Raises:
            ApiError: it does not exist (404).
        """
        task = self.by_id.get(reference)
        if task is None:
            owner, _, name = full_name(reference).partition("/")
            if owner.lower() == USERNAME:
                task = self._named(name)
        if task is None:
            raise record_not_found("Actor task")
        return task

    def create(self, body: dict[str, Any], actors: ActorRegistry) -> Task:
        """Creates a task as `POST actor-tasks` does."""
        actor = actors.find_to_run(str(body.get("actId") or ""))
        moment = now()
        task = Task(
            id=new_id(),
            actor_id=actor.id,
            name=self._free_name(body.get("name")),
            options=read_task_options(body.get("options")),
            input=read_task_input(body.get("input")),
            title=read_task_title(body.get("title")),
            created_at=moment,
            modified_at=moment,
        )
        self._keep(task)
        return task

    def update(self, task: Task, body: dict[str, Any]) -> Task:
        """Changes only the fields that the body names."""
        changes: dict[str, Any] = {"modified_at": now()}
        if "name" in body and body["name"] != task.name:
            changes["name"] = self._free_name(body["name"], task)
        if "options" in body:
            changes["options"] = {**task.options, **read_task_options(body["options"])}
        if "input" in body:
            changes["input"] = read_task_input(body["input"])
        if "title" in body:
            changes["title"] = read_task_title(body["title"])
        changed = replace(task, **changes)
        self._keep(changed)
        return changed

    def delete(self, task: Task) -> None:
        """Deletes a task; its runs stay."""
        del self.by_id[task.id]
        self._journal.drop("task", task.id)

    def _named(self, name: str) -> Task | None:
        for task in self.by_id.values():
            if task.name.lower() == name.lower():
                return task
        return None

    def _free_name(self, name: object, owner: Task | None = None) -> str:
        if name is None:
            return f"task-{new_id().lower()}"
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise invalid_input(
                f"Task name must be 3 to 63 letters, digits and inner hyphens, found {name!r}"
            )
        if self._named(name) not in (None, owner):
            raise ApiError(
                409, "actor-task-name-not-unique", f'There is already a task with name "{name}"'
            )
        return name

    def _keep(self, task: Task) -> None:
        self.by_id[task.id] = task
        # A file is the source of its task, so the journal keeps no copy of it.
        if not task.is_from_file:
            self._journal.put("task", task.id, task)


def read_task_title(value: object) -> str | None:
    """Returns the title of a task; refuses what is not a text."""
    if value is not None and not isinstance(value, str):
        raise invalid_input('"title" must be a string')
    return value


def read_task_options(value: object) -> dict[str, Any]:
    """Returns the known options of a task; refuses one that is not of its type."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid_input('"options" must be an object')
    options = {name: option for name, option in value.items() if name in _OPTIONS}
    for name, option in options.items():
        kind = _OPTIONS[name]
        # In Python a bool is an int, in JSON it is not.
        is_other = isinstance(option, bool) and kind is not bool
        if option is not None and (is_other or not isinstance(option, kind)):
            raise invalid_input(f'The option "{name}" of a task is not valid: {option!r}')
    return options


def read_task_input(value: object) -> dict[str, Any] | None:
    """Returns the input of a task; refuses what is not an object."""
    if value is not None and not isinstance(value, dict):
        raise invalid_input('"input" must be an object')
    return value


def is_task_name(name: str) -> bool:
    """Whether a task may have this name."""
    return _NAME.fullmatch(name) is not None
