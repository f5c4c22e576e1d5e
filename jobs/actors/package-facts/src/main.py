"""
One run: audits the distribution that the input names, an item per module.

A run may be moved to another machine at any time: its process is killed and started again on the
same storages. The totals so far are recorded after each push, and the number of modules in them
says how far the dataset was read. A kill between a push and its record leaves items that no record
tells of. They are read back at the start, as many as there are, so that no item comes twice and
none is missing. It rests on items staying in the order in which they were pushed.
"""

from __future__ import annotations

from apify import Actor

from .audit import (
    NOTHING_YET,
    Refused,
    Wanted,
    add,
    distribution_facts,
    find,
    module_facts,
    modules,
    read_input,
)

STATE_KEY = "AUDIT_STATE"
CHUNK = 25


async def main() -> None:
    """Run the Actor."""
    async with Actor:
        try:
            await audit(read_input(await Actor.get_input()))
        except Refused as error:
            await Actor.fail(status_message=str(error))


async def audit(wanted: Wanted) -> None:
    """
    Push an item per module, from where an earlier process of this run was, then the output.

    Raises:
        Refused: no such distribution is installed.
    """
    distribution = find(wanted.distribution)
    paths = modules(distribution)[: wanted.max_modules]
    totals = await totals_so_far()
    while (done := totals["modules"]) < len(paths):
        items = [module_facts(distribution, path) for path in paths[done : done + CHUNK]]
        await Actor.push_data(items)
        totals = add(totals, items)
        await Actor.set_value(STATE_KEY, totals)
        await Actor.set_status_message(f"{totals['modules']} of {len(paths)} modules")
    await Actor.set_value("OUTPUT", distribution_facts(distribution) | totals)
    await Actor.set_status_message(
        f"{distribution.name} {distribution.version}: {len(paths)} modules", is_terminal=True
    )


async def totals_so_far() -> dict[str, int]:
    """Return what earlier processes of this run have pushed, recorded or not."""
    recorded: dict[str, int] = await Actor.get_value(STATE_KEY) or NOTHING_YET
    dataset = await Actor.open_dataset()
    page = await dataset.get_data(offset=recorded["modules"])
    return add(recorded, page.items)
