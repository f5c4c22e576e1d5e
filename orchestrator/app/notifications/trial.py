"""Sends a test to everybody who would hear of a batch."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import anyio

from orchestrator.notifiers.addresses import Addresses, shown_host, shown_service
from orchestrator.notifiers.apprise_thread import send
from orchestrator.notifiers.ping import LOG_ONLY, ping

TITLE = "orchestrator: a test"
BODY = "This is a test by `orchestrator doctor --notify` on {host}. Nothing is to be done."


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """
    The test of one address.

    Attributes:
        name: of the address, without its secrets.
        reason: why it failed; None if it was accepted.
    """

    name: str
    reason: str | None


async def send_trials(addresses: Addresses, secs: float) -> list[Trial]:
    """Sends a test to each address at once, and waits so long for the answers."""
    body = BODY.format(host=socket.gethostname())
    tests: dict[str, Callable[[], Awaitable[str | None]]] = {
        f"url {number} ({shown_service(url)})": partial(send, url, TITLE, body, is_problem=False)
        for number, url in enumerate(addresses.urls, start=1)
    }
    if addresses.ping_url is not None:
        # A ping of success would turn off an alarm that is right.
        name = f"ping of {shown_host(addresses.ping_url)}"
        tests[name] = partial(ping, addresses.ping_url, LOG_ONLY, body)
    reasons: dict[str, str | None] = {}

    async def test(name: str, work: Callable[[], Awaitable[str | None]]) -> None:
        reasons[name] = f"did not answer within {secs:g} s"
        with anyio.move_on_after(secs):
            reasons[name] = await work()

    async with anyio.create_task_group() as tasks:
        for name, work in tests.items():
            tasks.start_soon(test, name, work, name=name)
    return [Trial(name=name, reason=reasons[name]) for name in tests]
