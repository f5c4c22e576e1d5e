"""
One run: audits the distribution that the input names, an item per module.

A run may be moved at any time: its process is killed and started again on the same storages. How
many modules are done is recorded after each push; what was pushed after the last record is seen in
the dataset itself, since a push arrives as a whole or not at all. So no item comes twice.
"""

from __future__ import annotations

from apify import Actor

from .audit import UnknownDistribution, chunks, distribution_facts, find, module_facts, modules

STATE_KEY = "AUDIT_STATE"
CHUNK = 25


async def main() -> None:
    """
    Runs the Actor.
    """
    async with Actor:
        given = await Actor.get_input() or {}
        name = given.get("distribution")
        if not isinstance(name, str) or not name:
            await Actor.fail(status_message="the input has no distribution to look at")
            return
        try:
            distribution = find(name)
        except UnknownDistribution as error:
            await Actor.fail(status_message=str(error))
            return
        paths = modules(distribution)[: int(given.get("maxModules") or 10_000)]
        for done, piece in chunks(paths, await modules_done(), CHUNK):
            await Actor.push_data([module_facts(distribution, path) for path in piece])
            await Actor.set_value(STATE_KEY, {"done": done})
        await Actor.set_value("OUTPUT", distribution_facts(distribution, len(paths)))
        await Actor.set_status_message(
            f"{distribution.name} {distribution.version}: {len(paths)} modules", is_terminal=True
        )


async def modules_done() -> int:
    """
    How many modules an earlier process of this run has pushed.
    """
    state = await Actor.get_value(STATE_KEY) or {"done": 0}
    recorded = int(state["done"])
    dataset = await Actor.open_dataset()
    page = await dataset.get_data(offset=recorded, limit=CHUNK)
    return recorded + len(page.items)
