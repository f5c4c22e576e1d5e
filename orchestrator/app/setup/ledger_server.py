"""Waits for the server of the ledger, before a call that nobody watches reads or writes there."""

from __future__ import annotations

from functools import partial

import anyio

from orchestrator.backoff import pause_secs
from orchestrator.errors import LedgerAway
from orchestrator.event_log import LOG
from orchestrator.ledger.location import configured_address
from orchestrator.loop_clock import loop_time

PAUSE_SECS = 0.5
LONGEST_PAUSE_SECS = 10.0


async def wait_for_ledger(longest_secs: float) -> None:
    """
    Returns when the server of the setting `ledger` answers; at once when there is none.

    Raises:
        LedgerAway: it has not answered for so long.
        ConfigError: it refuses the user.
    """
    address = configured_address()
    if address is None:
        return
    # psycopg takes time to load, and only ledgers at a server need it.
    from orchestrator.ledger.postgres.deployment import reach

    began, tries = loop_time(), 0
    while True:
        try:
            # A connection attempt cannot be interrupted; it ends by its own deadline.
            await anyio.to_thread.run_sync(partial(reach, address), abandon_on_cancel=True)
        except LedgerAway as error:
            left_secs = began + longest_secs - loop_time()
            if left_secs <= 0:
                raise
            if tries == 0:
                LOG.warning("ledger_away", error=str(error), waiting_secs=round(longest_secs))
            pause = pause_secs(tries, first_secs=PAUSE_SECS, longest_secs=LONGEST_PAUSE_SECS)
            await anyio.sleep(min(pause, left_secs))
            tries += 1
        else:
            if tries:
                LOG.info("ledger_back", away_secs=round(loop_time() - began, 1))
            return
