"""How everything is set back to the start, so that each test begins alike."""

from __future__ import annotations

import shutil
from dataclasses import fields
from typing import Any

import anyio

from apify_emulator.api.context import Context
from apify_emulator.faults import FaultPicker, Faults
from apify_emulator.options import account_limits
from apify_emulator.runs.run import Run
from apify_emulator.storages.storage_collection import StorageCollection

_END_SECS = 10.0


async def reset_everything(context: Context) -> None:
    """
    Ends and deletes all runs, storages, webhooks and tasks of the API, and resets the rest.

    Actors in folders and tasks in files stay. Stand-ins that the API added are deleted.
    """
    await _end_all_runs(context)
    # One write to the journal; nothing in it may wait.
    with context.journal.batch():
        # Before the runs, because a storage with a name stays when its run is deleted.
        _delete_all(context.datasets)
        _delete_all(context.stores)
        _delete_all(context.queues)
        for run in list(context.runs.all):
            delete_run(context, run)
        context.webhooks.clear()
        context.tasks.clear()
        context.actors.clear_pricings()
    context.runs.attempts.clear()
    context.runs.ended_usd = 0.0
    for folder in context.added_actors:
        await anyio.to_thread.run_sync(shutil.rmtree, folder, True)
        context.actors.remove(folder)
    context.added_actors.clear()
    context.faults = FaultPicker(context.options.faults or Faults())
    first = account_limits(context.options)
    for each in fields(first):
        setattr(context.account, each.name, getattr(first, each.name))
    context.timers.set_back()


def delete_run(context: Context, run: Run) -> None:
    """Deletes a run that has ended, with its storages and its log."""
    for storage_id in context.datasets.ids_in(run):
        context.datasets.discard(storage_id)
    context.stores.discard(run.store_id)
    context.queues.discard(run.queue_id)
    context.logs.delete(run.id)
    context.runs.remove(run)
    context.journal.drop("run", run.id)


async def _end_all_runs(context: Context) -> None:
    for run in list(context.runs.active_runs):
        context.lifecycle.abort(run, gracefully=False)
    # Processes end in their own time; a run that does not end stops the reset with an error.
    with anyio.fail_after(_END_SECS):
        for run in list(context.runs.active_runs):
            while not run.is_terminal:
                await run.ended().wait()


def _delete_all(collection: StorageCollection[Any]) -> None:
    for storage in collection.listed(unnamed=True):
        collection.delete(storage)
