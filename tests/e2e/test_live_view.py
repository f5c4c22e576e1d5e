"""The live view of `run` and `watch`, on a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.e2e.conftest import QUICK
from tests.support.command import Command, ServedPlatform
from tests.support.terminal import CTRL_C, Terminal, terminal

SPEC = """
[batch]
name = "shops"
max_runs = 4

[[jobs]]
name = "good-{{ n }}"
actor = "orchestrator/simulated"
input = { duration_secs = 0.05, items = 7 }
matrix = { n = { range = [1, 3] } }

[[jobs]]
name = "bad-{{ n }}"
actor = "orchestrator/simulated"
input = { duration_secs = 0.05, items = 0, outcome = "FAILED" }
matrix = { n = { range = [1, 2] } }

[[jobs]]
name = "a-shop-with-a-very-long-name-{{ region }}-{{ n }}"
actor = "orchestrator/simulated"
input = { duration_secs = 3600 }
matrix = { region = ["europe", "america"], n = { range = [1, 5] } }
"""
COUNTS = "3 succeeded · 2 failed · 4 running · 6 waiting"
TIMES = re.compile(r" · [\d.]+ jobs/\w+|\b\d+:\d\d\b")
"""The parts that change only with time."""


@pytest.fixture(scope="module")
def shops(
    tmp_path_factory: pytest.TempPathFactory, platform: ServedPlatform
) -> Iterator[tuple[Command, Terminal]]:
    """A batch on a terminal: five jobs are settled, and four runs are live for an hour."""
    folder = tmp_path_factory.mktemp("shops")
    command = Command(folder=folder, variables={**platform.variables(), **QUICK})
    command.write("shops.toml", SPEC)
    with terminal(command, "run", "shops.toml") as shown:
        shown.wait_for(is_quiet, "the figures")
        yield command, shown


def is_quiet(lines: list[str]) -> bool:
    """Whether the screen shows everything that happens without another event."""
    return COUNTS in lines and "6 jobs wait: 4 of 4 runs are in progress" in lines


def view_in(lines: list[str]) -> list[str]:
    """The lines of the view, without the lines above it."""
    first = next(at for at, line in enumerate(lines) if line.startswith("shops"))
    return lines[first:]


@pytest.mark.parametrize("columns", [40, 80, 120, 200])
def test_view_follows_the_width_of_the_terminal(
    shops: tuple[Command, Terminal], columns: int
) -> None:
    """Each width shows id, folder, shares, running jobs with their age, failures and the limit."""
    command, shown = shops
    shown.resize(columns, 24)
    latest = (command.folder / "output" / "shops" / "latest").readlink().name
    name = "a-shop-with-a-very-long-name-europe-4"
    key = name if columns > 40 else "a-shop-with-…me-europe-4"
    lines = view_in(shown.wait_for(lambda lines: any(key in line for line in lines), "a width"))
    text = "\n".join(lines)
    assert lines[0].startswith(f"shops {latest}")
    assert f"output/shops/{latest}" in text
    assert "5/15 33%" in text
    for figure in ("3 succeeded", "2 failed", "4 running", "6 waiting", "21 items"):
        assert figure in text
    assert "6 jobs wait: 4 of 4 runs are in pr" in text
    assert "bad-2 and 1 more  FAILED" in text
    assert len([line for line in lines if line.startswith("a-shop-")]) == 4
    assert max(map(cell_len, lines)) <= columns


def test_shares_of_the_bar_have_colours(shops: tuple[Command, Terminal]) -> None:
    """Succeeded is green, failed red and running cyan."""
    shown = shops[1]
    shown.resize(80, 24)
    shown.wait_for(lambda lines: any(line.startswith("█") for line in lines), "the bar")
    assert [shown.colours(cell) for cell in "█▓▒"] == [{"green"}, {"red"}, {"cyan"}]


def test_watch_shows_the_same_view(shops: tuple[Command, Terminal]) -> None:
    """Another process shows what `run` shows, except for a second of delay."""
    command, run = shops
    run.resize(80, 24)
    with terminal(command, "watch", "shops") as watch:
        watched = watch.wait_for(is_quiet, "the figures")
        ran = run.wait_for(is_quiet, "the figures")
        assert [TIMES.sub("", line) for line in view_in(watched)] == [
            TIMES.sub("", line) for line in view_in(ran)
        ]


@pytest.mark.parametrize(
    "variables",
    [{"NO_COLOR": "1"}, {"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}],
    ids=["no-color", "c-locale", "ascii"],
)
def test_view_obeys_the_environment(
    shops: tuple[Command, Terminal], variables: dict[str, str]
) -> None:
    """NO_COLOR removes the colours, and a locale without UTF-8 shows only ASCII."""
    counts = COUNTS if "NO_COLOR" in variables else COUNTS.replace(" ·", ",")
    with terminal(shops[0], "watch", "shops", columns=70, variables=variables) as watch:
        lines = view_in(watch.wait_for(lambda lines: counts in lines, "the counts"))
        bar = next(line for line in lines if line.endswith("5/15 33%"))
        shapes = "".join(dict.fromkeys(bar.partition(" ")[0]))
        if "NO_COLOR" in variables:
            assert shapes == "█x▒░"
            assert watch.colours(bar) == {"default"}
        else:
            assert shapes == "#x>."
            assert "\n".join(lines).isascii()


def test_dumb_terminal_gets_plain_lines(shops: tuple[Command, Terminal]) -> None:
    """A terminal that cannot move its cursor gets a line with the folder, then figures."""
    with terminal(shops[0], "watch", "shops", columns=200, variables={"TERM": "dumb"}) as watch:
        figures = "5 of 15 done, 4 running, 2 failed, 21 items"
        lines = watch.wait_for(lambda lines: figures in "".join(lines), "the figures")
        assert re.fullmatch(r"batch \S+ of 15 jobs, output/shops/\S+", lines[0])
        assert all("of 15 done" in line for line in lines[1:])
        assert b"\x1b" not in watch.written


def test_terminal_of_20_columns_has_a_view(shops: tuple[Command, Terminal]) -> None:
    """In the narrowest window nothing is wrapped, and nothing is drawn below its end."""
    with terminal(shops[0], "watch", "shops", columns=20, lines=8) as watch:
        lines = watch.wait_for(lambda lines: "2 failed · 4 running" in lines, "the counts")
        assert lines[0] == "shops"
        assert re.fullmatch(r"2026\d+T\d*…\w*-\w{7}", lines[1])
        assert len(lines) <= 7


def test_ctrl_c_ends_only_the_watching(shops: tuple[Command, Terminal]) -> None:
    """The last lines say that the batch continues, and how to end it."""
    with terminal(shops[0], "watch", "shops") as watch:
        watch.wait_for(is_quiet, "the figures")
        watch.press(CTRL_C)
        assert watch.end() == 130
        text = " ".join(watch.lines())
    assert "the process that runs the batch continues, with 4 runs at the platform" in text
    assert "orchestrator abort output/shops/" in text
    assert not shops[1].process.has_ended


def test_ctrl_c_leaves_the_runs_and_says_so(
    tmp_path: Path, command: Command, platform: ServedPlatform
) -> None:
    """The runs stay live and cost money, so the last lines have their number and the command."""
    command.write("shops.toml", SPEC)
    with terminal(command, "run", "shops.toml", lines=40) as shown:
        shown.wait_for(is_quiet, "the figures")
        shown.press(CTRL_C)
        assert shown.end() == 130
    latest = (command.folder / "output" / "shops" / "latest").readlink().name
    text = "\n".join(shown.lines())
    assert "4 runs continue at the platform" in text
    # At 80 columns the command does not fit behind the words, and stays whole on its own line.
    assert f"orchestrator abort output/shops/{latest}" in shown.lines()
    assert not any(line.startswith("█") for line in shown.lines())
    live = [
        run
        for run in platform.runs_of(tmp_path / "output/shops/latest")
        if run["status"] == "RUNNING"
    ]
    assert len(live) == 4
