"""Check of the server that keeps the ledgers, if it is not a file of each batch."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.app.doctor.findings import Finding, problem
from orchestrator.errors import OrchestratorError
from orchestrator.ledger.location import configured_address


def check_ledger() -> Iterator[Finding]:
    """Whether the server of the setting `ledger` lets this user in; nothing if there is none."""
    address = configured_address()
    if address is None:
        return
    # psycopg takes time to load, and only ledgers at a server need it.
    from orchestrator.ledger.postgres.deployment import reach

    try:
        reach(address)
    except OrchestratorError as error:
        advice = "check the setting `ledger`, the network, the server and its user"
        yield problem("ledger", str(error), advice)
    else:
        yield Finding(about="ledger", found=f"{address.url} can be reached")
