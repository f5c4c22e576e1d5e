"""How the jobs that a start needs are found."""

from __future__ import annotations

from typing import cast

from orchestrator.app.batch.needed_results import KnownKeys
from orchestrator.ledger import LedgerReader


class _Reader:
    """A ledger that counts how often its keys are read."""

    def __init__(self) -> None:
        self.names = ["a", "b"]
        self.reads = 0

    def last_seq(self) -> int:
        return len(self.names) - 1

    def keys(self) -> list[str]:
        self.reads += 1
        return list(self.names)


def test_keys_of_a_batch_are_read_again_only_when_there_are_more() -> None:
    """A start that needs others does not read all keys, but finds jobs that items have become."""
    reader = _Reader()
    known = KnownKeys(cast("LedgerReader", reader))
    for _ in range(3):
        assert list(known.matching(("A", "c"))) == [("A", ["a"]), ("c", [])]
    assert reader.reads == 1
    reader.names.append("c")
    assert list(known.matching(("c",))) == [("c", ["c"])]
    assert reader.reads == 2
