from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from orchestrator.app.supervisors.crontab import crontab, shell_command
from orchestrator.app.supervisors.installation import Installation
from orchestrator.errors import UsageError
from orchestrator.model.schedule import Schedule


def installation(folder: Path) -> Installation:
    """A call of a program in a folder that replaces the command."""
    return Installation(
        name="nightly",
        schedule=Schedule("15 2 * * *", ZoneInfo("UTC")),
        zone_name="UTC",
        command=[str(folder / "orchestrator")],
        run_options=[],
        spec=folder / "nightly.toml",
        folder=folder,
        environment_file=folder / "nightly.env",
        needs=["APIFY_TOKEN"],
        jitter_secs=0,
        now=datetime(2026, 11, 26, tzinfo=UTC),
    )


def program(path: Path, text: str) -> None:
    """Writes a shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def run_line(folder: Path, codes: str) -> tuple[int, list[str], list[str]]:
    """
    Runs the line of the crontab with a command that ends with these codes, one after the other.

    Returns:
        the exit code, the tokens that the calls saw, and the pauses.
    """
    (folder / "codes").write_text(codes.replace(" ", "\n") + "\n")
    program(
        folder / "orchestrator",
        'echo "$APIFY_TOKEN" >> calls\ncode=$(head -n 1 codes); sed -i 1d codes; exit "$code"',
    )
    program(folder / "sleep", 'echo "$1" >> pauses')
    (folder / "nightly.env").write_text("APIFY_TOKEN='a b'\n")
    done = subprocess.run(
        ["/bin/sh", "-c", shell_command(installation(folder))],
        cwd=folder,
        env={"PATH": f"{folder}:{os.environ['PATH']}"},
        check=False,
    )
    calls, pauses = ((folder / name).read_text().splitlines() for name in ("calls", "pauses"))
    return done.returncode, calls, pauses[1:]


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4])
def test_cron_line_does_not_repeat_lasting_failures(tmp_path: Path, code: int) -> None:
    """After these codes, the command is not called again."""
    assert run_line(tmp_path, f"{code} 0") == (code, ["a b"], [])


def test_cron_line_restarts_after_a_platform_that_was_away(tmp_path: Path) -> None:
    """After 5, 70 and signals, the command is called again, with growing pauses."""
    code, calls, pauses = run_line(tmp_path, "5 70 143 0")
    assert (code, len(calls), pauses) == (0, 4, ["60", "120", "240"])


def test_cron_line_restarts_at_most_five_times(tmp_path: Path) -> None:
    """A platform that stays away is not called forever."""
    code, calls, pauses = run_line(tmp_path, "5 5 5 5 5 5 0")
    assert (code, len(calls), pauses[:5]) == (5, 6, ["60", "120", "240", "480", "960"])


def test_crontab_refuses_a_line_that_cron_would_cut(tmp_path: Path) -> None:
    """Cron ignores the end of a very long line, and the message says what to do."""
    with pytest.raises(UsageError, match="cron allows 998"):
        crontab(installation(tmp_path / ("x" * 250) / ("y" * 250)))
