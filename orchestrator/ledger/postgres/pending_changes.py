"""What a transaction sends to the server together."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from orchestrator.ledger.postgres.connection_rows import ROWS, NamedRow, sendable, statement
from orchestrator.ledger.postgres.deployment import Connection
from orchestrator.ledger.store import Complaint


@dataclass(slots=True)
class Change:
    """
    A named statement.

    Attributes:
        complaint: the error to raise unless it changes one row.
        answer: once it is sent.
    """

    name: str
    values: dict[str, Any]
    complaint: Complaint | None = None
    answer: psycopg.Cursor[NamedRow] | None = None

    def execute(self, connection: Connection) -> None:
        """Sends it."""
        cursor = connection.cursor(row_factory=ROWS[self.name])
        self.answer = cursor.execute(statement(self.name), sendable(self.values), prepare=True)

    def read(self) -> psycopg.Cursor[NamedRow]:
        """The answer, after it was sent."""
        assert self.answer is not None  # noqa: S101 - a commit has sent it
        return self.answer


@dataclass(slots=True)
class Claims:
    """
    The claims of one transaction.

    Attributes:
        in_turn: what is performed before them.
        answers: in their order, after the commit.
    """

    in_turn: list[Callable[[], None]] = field(default_factory=list)
    wanted: list[Mapping[str, Any]] = field(default_factory=list)
    answers: list[NamedRow] = field(default_factory=list)

    def add(self, wanted: Mapping[str, Any]) -> Callable[[], NamedRow | None]:
        """Adds one; returns what gives its answer."""
        place = len(self.wanted)
        self.wanted.append(wanted)
        return lambda: self.answers[place] if self.answers else None

    def values(self) -> dict[str, str]:
        """The arguments of the function `claim_jobs`: each share once, as reading takes time."""
        shares: list[Any] = []
        rows = []
        for wanted in self.wanted:
            if wanted["share"] not in shares:
                shares.append(wanted["share"])
            rows.append({**wanted, "share": shares.index(wanted["share"]) + 1})
        return {"wanted": json.dumps(rows), "shares": json.dumps(shares)}
