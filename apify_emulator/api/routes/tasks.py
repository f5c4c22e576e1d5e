"""Tasks and their inputs."""

from __future__ import annotations

from apify_emulator.actors.task import Task
from apify_emulator.actors.task_views import task_summary, task_view
from apify_emulator.api.context import Context
from apify_emulator.api.router import Router
from apify_emulator.http.answers import Answer, data, nothing, plain
from apify_emulator.http.calls import Call
from apify_emulator.webhooks.webhook_registry import webhook_view, webhooks_of

_TASK = "actor-tasks/{actorTaskId}"


def register(router: Router) -> None:
    """Adds these endpoints."""
    router.add("GET", "actor-tasks", list_all)
    router.add("POST", "actor-tasks", create)
    router.add("GET", _TASK, get)
    router.add("PUT", _TASK, update)
    router.add("DELETE", _TASK, delete)
    router.add("GET", f"{_TASK}/input", get_input)
    router.add("PUT", f"{_TASK}/input", put_input)
    router.add("GET", f"{_TASK}/webhooks", list_webhooks)


def _find(context: Context, call: Call) -> Task:
    return context.tasks.find(call.params["actorTaskId"])


def _shown(context: Context, task: Task, status: int = 200) -> Answer:
    return data(task_view(task, len(context.runs.of_task[task.id])), status=status)


async def list_all(context: Context, call: Call) -> Answer:
    """Lists tasks."""
    page = call.page()
    tasks = sorted(context.tasks.by_id.values(), key=lambda task: task.created_at)
    items = [
        task_summary(task, context.actors, len(context.runs.of_task[task.id]))
        for task in page.cut(tasks)
    ]
    return data(page.envelope(len(tasks), items))


async def create(context: Context, call: Call) -> Answer:
    """Creates a task."""
    return _shown(context, context.tasks.create(await call.json_object(), context.actors), 201)


async def get(context: Context, call: Call) -> Answer:
    """Returns a task."""
    return _shown(context, _find(context, call))


async def update(context: Context, call: Call) -> Answer:
    """Changes a task."""
    body = await call.json_object()
    return _shown(context, context.tasks.update(_find(context, call), body))


async def delete(context: Context, call: Call) -> Answer:
    """Deletes a task."""
    context.tasks.delete(_find(context, call))
    return nothing()


async def get_input(context: Context, call: Call) -> Answer:
    """Returns a task's input, without an envelope."""
    return plain(_find(context, call).input or {})


async def put_input(context: Context, call: Call) -> Answer:
    """Replaces a task's input."""
    body = await call.json_object()
    changed = context.tasks.update(_find(context, call), {"input": body})
    return plain(changed.input or {})


async def list_webhooks(context: Context, call: Call) -> Answer:
    """Lists a task's persistent webhooks."""
    task = _find(context, call)
    page = call.page()
    found = webhooks_of(context.webhooks.by_id.values(), "actorTaskId", task.id)
    items = [webhook_view(webhook, context.webhooks) for webhook in page.cut(found)]
    return data(page.envelope(len(found), items))
