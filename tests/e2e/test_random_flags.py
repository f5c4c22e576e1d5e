"""Every command with some of its options at random, also contradictory or doubled ones."""

from __future__ import annotations

import argparse
import json
import os
import random
from collections.abc import Iterator

import pytest

from orchestrator.cli.command_list import COMMANDS
from orchestrator.cli.parser import command_parser
from tests.support.command import Command, Done, sweep

IS_SOAK = bool(os.environ.get("ORCHESTRATOR_SOAK"))
SEEDS = 40 if IS_SOAK else 1
CALLS = 14
SERVERS = {"platform", "ui"}
ELSEWHERE = {"--ledger", "--on", "--shard", "--shards"}
"""Options that need another server, which some commands would wait for."""

POSITIONS = {
    "collect": ["b"], "completion": ["bash"], "doctor": ["b.toml"], "export": ["b"],
    "import": ["nobody"], "init": ["new"], "list": [], "logs": ["b", "job-1"],
    "plan": ["b.toml"], "run": ["b.toml"], "schedule": ["cron", "b.toml"], "schema": [],
    "validate": ["b.toml"],
}  # fmt: skip
VALUES = {
    "--actors": "actors", "--at": "15 2 * * *", "--catch-up": "2026-11-01", "--config": "c.toml",
    "--date": "2026-11-21", "--dates": "2026-11-20..2026-11-21", "--diff": "b",
    "--env-file": "b.env", "--exclude": "name:job-2", "--format": "csv", "--image": "image:1",
    "--jitter": "5", "--keep-days": "5", "--keep-last": "1", "--last": "24h", "--limit": "1",
    "--log-format": "json", "--log-level": "debug", "--max-runs": "2", "--metrics-file": "m.prom",
    "--name": "foreign", "--occurrence": "2026-11-20", "--on-signal": "abort",
    "--output": "output", "--param": "p=1", "--runs": "nobody", "--select": "name:job-1",
    "--since": "2026-11-01", "--task": "me/task", "--to": "to", "--why": "job-1",
    "--write": "schema.json",
}  # fmt: skip


def options_of(name: str) -> list[list[str]]:
    """The options of a command, each with a value that is valid alone."""
    shown = (
        action
        for action in command_parser(name)._actions
        if action.option_strings and action.dest != "help" and action.help != argparse.SUPPRESS
    )
    options = ((action.option_strings[-1], action.nargs == 0) for action in shown)
    return [
        [option] if is_flag else [option, VALUES[option]]
        for option, is_flag in options
        if option not in ELSEWHERE
    ]


def calls(chance: random.Random) -> Iterator[list[str]]:
    """Some calls, each of another command."""
    names = sorted(COMMANDS.keys() - SERVERS)
    for name in chance.sample(names, min(CALLS, len(names))):
        options = options_of(name)
        some = chance.choices(options, k=chance.choice([1, 2, 2, 3])) if options else []
        yield [name, *POSITIONS.get(name, ["b"]), *(word for option in some for word in option)]


def check(words: list[str], done: Done) -> None:
    """A call ends with a documented code, in plain words, and stdout has results only."""
    shown = f"{words}\n{done.out}\n{done.err}"
    assert done.code in {0, 1, 2, 3}, shown
    assert "Traceback" not in done.out + done.err, shown
    if done.code == 2:
        assert done.err, shown
    if "--json" in words:
        for line in done.out.splitlines():
            assert isinstance(json.loads(line), dict), shown
        if done.code == 2 and not done.out:
            assert json.loads(done.err.splitlines()[-1])["code"] == 2, shown


@pytest.mark.parametrize("seed", range(SEEDS))
def test_any_options_are_obeyed_or_refused_in_plain_words(command: Command, seed: int) -> None:
    """No pair of options ends a command in a way that its documentation does not know."""
    chance = random.Random(f"flags {seed}")  # noqa: S311 - to be repeatable
    text = sweep("b", jobs=2, duration_secs=0.01, items=1)
    command.write("b.toml", f"{text}[params]\np = 2\n")
    command.write("c.toml", "max_runs = 3\n")
    (command.folder / "actors").mkdir()
    assert command.run("run", "b.toml").code == 0
    for words in calls(chance):
        check(words, command.run(*words))


def test_every_option_has_a_value_here() -> None:
    """A new option is tried with the others, too."""
    without = {name for name in COMMANDS.keys() - SERVERS if not options_of(name)}
    assert without == {"completion"}
