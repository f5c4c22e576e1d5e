"""How the API shows tasks."""

from __future__ import annotations

from typing import Any

from apify_emulator.account import USER_ID, USERNAME
from apify_emulator.actors.actor_registry import ActorRegistry
from apify_emulator.actors.task import Task
from apify_emulator.times import iso


def task_view(task: Task, total_runs: int) -> dict[str, Any]:
    """Returns a task as its own endpoint shows it."""
    return {
        **_common_fields(task, total_runs),
        "title": task.title,
        "options": task.options,
        "input": task.input or {},
    }


def task_summary(task: Task, actors: ActorRegistry, total_runs: int) -> dict[str, Any]:
    """Returns a task as lists show it."""
    actor = actors.by_id.get(task.actor_id)
    return {
        **_common_fields(task, total_runs),
        "actName": actor.name if actor else None,
        "actUsername": actor.username if actor else None,
    }


def _common_fields(task: Task, total_runs: int) -> dict[str, Any]:
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
