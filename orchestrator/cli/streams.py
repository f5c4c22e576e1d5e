"""
Standard input, output and error that never end the command, even if they break.

1. A descriptor that is closed at the start is opened on the null device. Otherwise a file or socket
   would get its number.
2. Output that cannot be written, because the reader is gone or the disk is full, is dropped. A
   command whose output is all that it is for asks for that at its end: `refuse_lost_output`.
3. Standard error is also dropped if its reader stops reading, because the batch must not wait.
4. Characters that the encoding does not have are written as escapes.
"""

from __future__ import annotations

import io
import os
import select
import sys
from contextlib import suppress
from typing import TextIO

PATIENCE_SECS = 5.0
"""How long to wait for the reader of standard error."""
PIPE_BYTES = 4096
"""The bytes that a writable pipe accepts without blocking (`PIPE_BUF` of Linux)."""

USUAL_SIZE = os.terminal_size((80, 24))
"""The size of a terminal that does not say it."""


class Outlet(io.RawIOBase):
    """
    A descriptor to write to; drops what it cannot write, without an error.

    Args:
        patience_secs: how long a write may block before it fails; None for ever.

    Attributes:
        is_broken: whether the last write was dropped.
        loss: why output was dropped whose reader is there, such as a full disk; None if none was.
    """

    def __init__(self, handle: int, name: str, *, patience_secs: float | None = None) -> None:
        super().__init__()
        self._handle = handle
        self._patience_secs = patience_secs
        self.name = name
        self.is_broken = False
        self.loss: OSError | None = None

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """The descriptor."""
        return self._handle

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._handle)

    def write(self, data: object) -> int:
        """Writes what the descriptor takes now; returns the count, or all when it drops them."""
        piece = memoryview(data)  # type: ignore[arg-type]  # RawIOBase says "a buffer"
        try:
            written = self._write(piece)
        except (BrokenPipeError, ConnectionResetError):
            written = 0
        except OSError as error:
            written, self.loss = 0, error
        self.is_broken = len(piece) > 0 and written == 0
        return written or len(piece)

    def _write(self, piece: memoryview) -> int:
        if self._patience_secs is not None:
            # After one such wait, the reader gets no more time.
            patience_secs = 0.0 if self.is_broken else self._patience_secs
            if not select.select([], [self._handle], [], patience_secs)[1]:
                return 0
            # More might block, although `select` calls the pipe writable.
            piece = piece[:PIPE_BYTES]
        while True:
            try:
                return os.write(self._handle, piece)
            except BlockingIOError:
                # Another program shares the descriptor and has made it non-blocking.
                select.select([], [self._handle], [])


def open_streams() -> None:
    """Opens descriptors 0, 1 and 2 if they are closed, and gives them streams that never fail."""
    for handle in range(3):
        with suppress(OSError):
            _open(handle)
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), "utf-8")
    # A caller in this process, such as a test, may have replaced the streams.
    if sys.stdout is sys.__stdout__:
        sys.stdout = _stream(1, sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _stream(2, sys.stderr)


def output_is_broken() -> bool:
    """Whether writes to standard output are lost, as in a pipe without a reader."""
    outlet = _outlet()
    return outlet is not None and outlet.is_broken


def refuse_lost_output() -> None:
    """
    Flushes standard output, and refuses that a part of it was dropped although it has a reader.

    Raises:
        OutputNotWritable.
    """
    sys.stdout.flush()
    outlet = _outlet()
    if outlet is not None and outlet.loss is not None:
        from orchestrator.errors import OutputNotWritable

        reason = outlet.loss.strerror or type(outlet.loss).__name__
        raise OutputNotWritable(
            f"standard output: cannot be written ({reason}): what it has is not complete"
        )


def write_lines(text: str, stream: TextIO) -> None:
    """Writes lines; on a terminal, they are broken between words and never within an id."""
    if stream.isatty():
        from orchestrator.report.lines import wrapped

        text = wrapped(text, terminal_size(stream).columns)
    stream.write(text + "\n")


def terminal_size(stream: TextIO) -> os.terminal_size:
    """The size of the terminal behind a stream."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return USUAL_SIZE
    return size if size.columns > 0 and size.lines > 0 else USUAL_SIZE


def _outlet() -> Outlet | None:
    outlet = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return outlet if isinstance(outlet, Outlet) else None


def _open(handle: int) -> None:
    try:
        os.fstat(handle)
    except OSError:
        # The system gives the lowest free number, which is this one: those below are open.
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != handle:
            os.dup2(opened, handle)
            os.close(opened)
        os.set_inheritable(handle, True)


def _stream(handle: int, before: TextIO | None) -> TextIO:
    outlet = (
        Outlet(1, "<stdout>") if handle == 1 else Outlet(2, "<stderr>", patience_secs=PATIENCE_SECS)
    )
    return io.TextIOWrapper(
        io.BufferedWriter(outlet),
        encoding=getattr(before, "encoding", None) or "utf-8",
        errors="backslashreplace",
        # As Python's own stderr: each line appears at once, also in a file.
        line_buffering=handle == 2 or getattr(before, "line_buffering", False),
        write_through=getattr(before, "write_through", False),
    )
