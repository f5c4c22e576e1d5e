from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from orchestrator.app.setup.signals import resizing
from orchestrator.cli.live_view import LiveView, symbols_for
from orchestrator.report.progress_view import COLOURED, UNCOLOURED
from tests.support.command import LONGEST_SECS
from tests.support.screens import Written, example

CHOOSE = """
import io, os, sys
from orchestrator.cli.quick_imports import quick_imports

with quick_imports():
    import orchestrator.cli.commands.run
from orchestrator.cli.progress_display import display_for

class Stream(io.StringIO):
    def isatty(self):
        return True

sys.stderr = Stream()
for os.environ["TERM"] in ("xterm", "dumb", ""):
    print(type(display_for("auto")).__name__, "rich" in sys.modules)
"""


def test_display_suits_the_terminal_and_loads_nothing_yet() -> None:
    """The terminal library is loaded after the first requests are sent, not before."""
    done = subprocess.run(
        [sys.executable, "-c", CHOOSE],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
    )
    displays = [line.split() for line in done.stdout.splitlines()]
    assert displays == [
        ["ViewDisplay", "False"],
        ["LineDisplay", "False"],
        ["LineDisplay", "False"],
    ]


def test_symbols_are_those_that_the_terminal_can_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shapes differ if colours are missing, and everything is ASCII without UTF-8."""
    monkeypatch.delenv("LC_ALL", raising=False)
    assert symbols_for("utf-8", has_colours=True) == COLOURED
    assert symbols_for("UTF8", has_colours=False) == UNCOLOURED
    assert symbols_for("latin-1", has_colours=True).encoding == "latin-1"
    assert symbols_for(None, has_colours=True).succeeded == "#"
    monkeypatch.setenv("LC_ALL", "C")
    assert symbols_for("utf-8", has_colours=True).encoding == "ascii"


async def test_new_size_of_the_window_is_noticed_at_once() -> None:
    """Otherwise the view would stay broken until its next frame."""
    noticed = anyio.Event()
    with resizing(noticed.set), anyio.fail_after(LONGEST_SECS):
        os.kill(os.getpid(), signal.SIGWINCH)
        await noticed.wait()
    assert signal.getsignal(signal.SIGWINCH) == signal.SIG_DFL


def test_process_in_the_background_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """`orchestrator run SPEC &` leaves the terminal to what its user types."""
    ours, theirs = os.openpty()
    stream = Written(theirs)
    view = LiveView(stream, name="shops", folder=Path("/output/shops/1"))
    monkeypatch.setattr(os, "tcgetpgrp", lambda _handle: os.getpgrp() + 1)
    view.draw(example)
    assert stream.getvalue() == ""
    monkeypatch.setattr(os, "tcgetpgrp", lambda _handle: os.getpgrp())
    view.draw(example)
    assert "shops" in stream.getvalue()
    os.close(theirs)
    os.close(ours)
