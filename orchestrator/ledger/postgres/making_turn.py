"""
One process at a time makes a batch that several will share; the others wait for it.

It only saves work: a second batch for one occurrence is refused when it is published.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from orchestrator.ledger.postgres.address import Address
from orchestrator.ledger.postgres.advisory_lock import unlock
from orchestrator.ledger.postgres.connection_rows import statement
from orchestrator.ledger.postgres.deployment import connect, holder_name, migrate
from orchestrator.ledger.postgres.server_errors import translated


class MakingTurn:
    """
    The turn to make a batch; the server ends it when its holder dies.

    Args:
        serves: see `Series.serves`.

    Raises:
        LedgerAway: the server cannot be reached.
    """

    def __init__(self, address: Address, serves: str) -> None:
        self._address = address
        self._serves = serves
        self._connection = connect(address, holder_name("run"))

    def __enter__(self) -> Self:
        try:
            # The first process of a deployment finds no table to look into.
            migrate(self._connection, self._address)
        except BaseException:
            self._connection.close()
            raise
        return self

    def is_over(self) -> bool:
        """
        Whether there is nothing to wait for: the batch is made, or it is for this process to make.

        Raises:
            LedgerAway: the server cannot be reached.
        """
        values = {"schema": self._address.schema, "serves": self._serves}
        with translated(self._address):
            row = self._connection.execute(statement("seek_making"), values).fetchone()
        return row is not None and bool(row["is_made"] or row["is_ours"])

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        unlock(self._connection)
