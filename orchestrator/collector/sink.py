"""
Takes the bytes of a download and hands them out in large pieces, counting lines.
"""

from __future__ import annotations

SMALL_BYTES = 256 * 1024
"""
What stays in memory: less than this needs no file that grows.
"""

PIECE_BYTES = 1024 * 1024
"""
Of each further piece. Each is handed to another thread, and that takes time.
"""

NEWLINE = 0x0A


class Sink:
    """
    Collects chunks until they are worth a write.

    Args:
        by_line: whether a line is an item, and pieces end with a line.
    """

    def __init__(self, *, by_line: bool) -> None:
        self._by_line = by_line
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._handed_bytes = 0
        self._handed_lines = 0

    @property
    def size_bytes(self) -> int:
        """
        Bytes taken so far and kept.
        """
        return self._handed_bytes + self._pending_bytes

    @property
    def lines(self) -> int:
        """
        Whole lines among them.
        """
        return self._handed_lines + sum(map(lines_in, self._pending))

    def feed(self, data: bytes) -> bytes | None:
        """
        Takes a chunk; returns what is ready to be written, or None while it is little.
        """
        self._keep(data)
        if self._pending_bytes < (PIECE_BYTES if self._handed_bytes else SMALL_BYTES):
            return None
        rest = b""
        if self._by_line:
            end = data.rfind(b"\n") + 1
            if end == 0:
                return None
            self._pending[-1], rest = data[:end], data[end:]
        ready = self.rest()
        self._keep(rest)
        return ready

    def forget_half_line(self) -> None:
        """
        Drops what follows the last end of a line, after a broken download.
        """
        kept = b"".join(self._pending)
        self._forget()
        self._keep(kept[: kept.rfind(b"\n") + 1])

    def end_line(self) -> None:
        """
        Ends the last line of a whole download, should the platform have left that out.
        """
        if self._pending and self._pending[-1][-1] != NEWLINE:
            self._keep(b"\n")

    def rest(self) -> bytes:
        """
        Hands out what it has.
        """
        ready = b"".join(self._pending)
        self._forget()
        self._handed_bytes += len(ready)
        self._handed_lines += lines_in(ready)
        return ready

    def count(self, other: Sink) -> None:
        """
        Counts what another one has handed out as its own.
        """
        self._handed_bytes += other._handed_bytes
        self._handed_lines += other._handed_lines

    def go_on_from(self, size_bytes: int, lines: int) -> None:
        """
        Forgets everything but the first bytes that were handed out.

        Args:
            lines: how many there are in those bytes.
        """
        self._forget()
        self._handed_bytes, self._handed_lines = size_bytes, lines

    def _forget(self) -> None:
        self._pending.clear()
        self._pending_bytes = 0

    def _keep(self, data: bytes) -> None:
        if data:
            self._pending.append(data)
            self._pending_bytes += len(data)


def lines_in(data: bytes) -> int:
    """
    How many lines end in it.
    """
    # `count` looks at byte after byte, which takes as long as the digest; this leaps.
    return len(data) - len(data.replace(b"\n", b""))
