"""
What a worker of an engine is asked to do: one shard of a batch. Plain values, which can be pickled.

They hold no secret: a worker takes the token and the password of the ledger from its own
environment, because an engine shows and logs what it is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ShardOrder:
    """
    A shard of a batch.

    Attributes:
        group: names the shards of one batch; the same for all calls that are for this batch.
        shard: `K/N`.
        spec: the path of the spec below its folder.
        files: the content of the spec and of the files that it names, by paths below its folder.
        words: the options of `run`.
        ledger: the URL of the ledger, without a password.
        version: of the program that asks.
        pause_secs: how long a worker waits before the engine tries a shard again.
    """

    group: str
    shard: str
    spec: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    words: Sequence[str]
    ledger: str
    version: str
    pause_secs: float

    @property
    def key(self) -> str:
        """The name of the task."""
        return f"{self.group}-shard-{self.shard.replace('/', '-of-')}"

    def __repr__(self) -> str:
        """The name alone: engines log the arguments of a task that fails."""
        return f"<{self.key}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardEnd:
    """
    How a shard ended, if trying it again is of no use.

    Attributes:
        code: the exit code of its process.
        said: what it wrote to stderr at the end.
        machine: where it ran.
    """

    shard: str
    code: int
    said: str
    machine: str


class ShardDied(Exception):
    """A shard ended so that the engine tries it again."""
