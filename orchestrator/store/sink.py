"""Joins the chunks of a download into large pieces, and counts lines."""

from __future__ import annotations

from orchestrator.store.transfer_sizes import USUAL_SIZES, TransferSizes

NEWLINE = 0x0A


class Sink:
    """
    Collects chunks until they are worth a write.

    Args:
        by_line: whether a line is an item; pieces end with a line then, except those of a long one.

    Attributes:
        lines: whole ones among what was taken and kept.
        handed_lines: those among what was handed out.
    """

    def __init__(self, *, by_line: bool, sizes: TransferSizes = USUAL_SIZES) -> None:
        self.lines = 0
        self.handed_lines = 0
        self._by_line = by_line
        self._sizes = sizes
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._handed_bytes = 0
        self._handed_of_line = 0

    @property
    def is_inside_line(self) -> bool:
        """Whether what was handed out ends inside a long line."""
        return self._handed_of_line > 0

    @property
    def size_bytes(self) -> int:
        """Bytes taken so far and kept."""
        return self._handed_bytes + self._pending_bytes

    def feed(self, data: bytes) -> bytes | None:
        """Takes a chunk; returns what is ready to be written, or None while it is little."""
        self._keep(data)
        sizes = self._sizes
        if self._pending_bytes < (sizes.piece_bytes if self._handed_bytes else sizes.small_bytes):
            return None
        rest = b""
        if self._by_line:
            end = data.rfind(b"\n") + 1
            if end == 0:
                return self._part_of_line()
            self._pending[-1], rest = data[:end], data[end:]
        ready = self.rest()
        self._keep(rest)
        return ready

    def forget_half_line(self) -> bool:
        """
        Drops what follows the last end of a line, after a broken download.

        Returns:
            whether a part of that line was handed out, which the caller removes.
        """
        kept = b"".join(self._pending)
        self._forget()
        self._keep(kept[: kept.rfind(b"\n") + 1])
        if self._pending or not self.is_inside_line:
            return False
        self._handed_bytes -= self._handed_of_line
        self._handed_of_line = 0
        return True

    def end_line(self) -> None:
        """Ends the last line of a whole download, in case that the platform has not."""
        is_open = self._pending[-1][-1] != NEWLINE if self._pending else self.is_inside_line
        if is_open:
            self._keep(b"\n")

    def rest(self) -> bytes:
        """Hands out what it has."""
        return self._hand_out(b"".join(self._pending))

    def _part_of_line(self) -> bytes | None:
        """The whole lines before a long one, or what there is of that one."""
        if self._pending_bytes < self._sizes.long_line_bytes:
            return None
        text = b"".join(self._pending)
        end = text.rfind(b"\n") + 1
        ready = self._hand_out(text[:end] if end else text)
        self._keep(text[end:] if end else b"")
        return ready

    def _hand_out(self, ready: bytes) -> bytes:
        """Counts what is handed out; all line ends so far are in it."""
        self._handed_bytes += len(ready)
        self.handed_lines = self.lines
        self._forget()
        if ready:
            inside = self._by_line and ready[-1] != NEWLINE
            self._handed_of_line = self._handed_of_line + len(ready) if inside else 0
        return ready

    def count(self, other: Sink) -> None:
        """Counts what another one has handed out as its own."""
        self._handed_bytes += other._handed_bytes
        self.handed_lines += other.handed_lines
        self.lines += other.handed_lines

    def reset(self, size_bytes: int, lines: int) -> None:
        """
        Forgets everything but the first bytes that were handed out.

        Args:
            lines: how many there are in those bytes.
        """
        self._handed_bytes, self.handed_lines, self._handed_of_line = size_bytes, lines, 0
        self._forget()

    def _forget(self) -> None:
        self._pending.clear()
        self._pending_bytes = 0
        self.lines = self.handed_lines

    def _keep(self, data: bytes) -> None:
        if data:
            self._pending.append(data)
            self._pending_bytes += len(data)
            self.lines += lines_in(data)


def lines_in(data: bytes) -> int:
    """How many lines end in it."""
    # `count` looks at byte after byte, which takes as long as the digest; `replace` uses `memchr`.
    return len(data) - len(data.replace(b"\n", b""))
