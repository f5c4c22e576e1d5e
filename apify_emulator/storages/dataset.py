"""A dataset: a file of JSON Lines, or the simulation that computes its items."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import orjson

from apify_emulator.storages.appended_file import append_whole
from apify_emulator.times import now

_POSITION_EVERY = 1000
_PIECE_BYTES = 262_144
BLOCK_ITEMS = 1000


class Simulation(Protocol):
    """Items that are computed when they are read."""

    def count(self) -> int:
        """Returns how many items there are now."""
        ...

    def lines(self, start: int, stop: int) -> bytes:
        """Returns items as JSON Lines, `stop` not included."""
        ...

    def changed_at(self) -> float:
        """Returns when the last item arrived."""
        ...


class Dataset:
    """
    One dataset. Items are counted from 0 in the order of their arrival and never change.

    Attributes:
        name: None for the dataset of a run.
    """

    def __init__(
        self,
        dataset_id: str,
        path: Path,
        *,
        created_at: float,
        name: str | None = None,
        run_id: str | None = None,
        actor_id: str | None = None,
        simulation: Simulation | None = None,
    ) -> None:
        self.id = dataset_id
        self.name = name
        self.run_id = run_id
        self.actor_id = actor_id
        self.created_at = created_at
        self.accessed_at = created_at
        self.reads = 0
        self.writes = 0
        self.general_access = "FOLLOW_USER_SETTING"
        self._path = path
        self._modified_at = created_at
        self._simulation = simulation
        self._count = 0
        self._empty = 0
        self._size = 0
        # A lag hides a part of the items that arrived after these.
        self._count_before_last = 0
        # Byte positions of every thousandth item, so that a request with an offset needs no scan.
        self._positions: list[int] = []
        if simulation is None:
            self._scan()

    @property
    def count(self) -> int:
        """How many items there are."""
        return self._count if self._simulation is None else self._simulation.count()

    @property
    def size_bytes(self) -> int:
        """The size of the items as JSON Lines; 0 while they are simulated."""
        return self._size

    @property
    def modified_at(self) -> float:
        """When the last item arrived."""
        if self._simulation is not None:
            return self._simulation.changed_at()
        return self._modified_at

    def shown_counts(self, lag_secs: float) -> tuple[int, int]:
        """
        Returns how many items and how many clean items the dataset says it has.

        The numbers can lag, as Apify's do.
        """
        if lag_secs and now() - self.modified_at < lag_secs:
            return self._count_before_last, self._count_before_last
        return self.count, self.count - self._empty

    def visible(self, lag_secs: float) -> int:
        """Returns how many items are visible: half of those that arrived within the lag."""
        if not lag_secs or now() - self.modified_at >= lag_secs:
            return self.count
        old = self._count_before_last if self._simulation is None else 0
        return old + (self.count - old) // 2

    def append(self, items: list[Any]) -> None:
        """Adds all items; none if the disk is full."""
        if self._simulation is not None:
            # Added items cannot be computed, so all items move into a file.
            self.become_real()
        if now() - self._modified_at > 0:
            self._count_before_last = self._count
        lines = [orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE) for item in items]
        append_whole(self._path, b"".join(lines))
        at = self._size
        for line in lines:
            if self._count % _POSITION_EVERY == 0:
                self._positions.append(at)
            at += len(line)
            self._count += 1
            self._empty += _is_empty(line)
        self._size = at
        self._modified_at = now()
        self.writes += len(items)

    def raw(self, start: int, stop: int) -> tuple[Iterator[bytes], int]:
        """Returns items as unchanged JSON Lines in pieces, and their total length."""
        if self._simulation is not None:
            whole = self._simulation.lines(start, stop)
            return iter((whole,)), len(whole)
        if start >= stop:
            return iter(()), 0
        first, last = self._position(start), self._position(stop)
        return _read_range(self._path, first, last), last - first

    def blocks(
        self, start: int, stop: int, *, desc: bool = False
    ) -> Iterator[list[dict[str, Any]]]:
        """Yields items in blocks, to limit memory; `desc` reverses all of them."""
        edges = range(start, stop, BLOCK_ITEMS)
        for low in reversed(edges) if desc else edges:
            pieces, _ = self.raw(low, min(low + BLOCK_ITEMS, stop))
            lines = b"".join(pieces).split(b"\n")[:-1]
            items: list[dict[str, Any]] = orjson.loads(b"[" + b",".join(lines) + b"]")
            yield items[::-1] if desc else items

    def delete(self) -> None:
        """Deletes the file."""
        self._path.unlink(missing_ok=True)

    def become_real(self) -> None:
        """Writes the items that a simulation computes to the file."""
        if self._simulation is None:
            return
        whole = self._simulation.lines(0, self._simulation.count())
        self._simulation = None
        append_whole(self._path, whole)
        self._scan()

    def _position(self, index: int) -> int:
        if index >= self._count:
            return self._size
        at = self._positions[index // _POSITION_EVERY]
        with self._path.open("rb") as lines:
            lines.seek(at)
            return at + sum(len(line) for line in islice(lines, index % _POSITION_EVERY))

    def _scan(self) -> None:
        self._positions.clear()
        self._count = self._empty = self._size = 0
        try:
            lines = self._path.open("rb")
        except FileNotFoundError:
            return
        with lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    # A kill in the middle of a write leaves this; the writer got no answer.
                    os.truncate(self._path, self._size)
                    break
                if self._count % _POSITION_EVERY == 0:
                    self._positions.append(self._size)
                self._count += 1
                self._size += len(line)
                self._empty += _is_empty(line)
        self._modified_at = self._path.stat().st_mtime
        self._count_before_last = self._count


def _is_empty(line: bytes) -> bool:
    """Returns whether an item has no fields but hidden ones, so that it is no clean item."""
    return line == b"{}\n" or (
        line.startswith(b'{"#') and all(name.startswith("#") for name in orjson.loads(line))
    )


def _read_range(path: Path, first: int, last: int) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        file.seek(first)
        left = last - first
        while left > 0:
            piece = file.read(min(left, _PIECE_BYTES))
            if not piece:
                return
            left -= len(piece)
            yield piece
