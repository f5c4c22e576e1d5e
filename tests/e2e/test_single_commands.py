"""
Each command in its own interpreter.

The other tests call commands in children of a process that has imported everything.
"""

from __future__ import annotations

from tests.support.command import Command, sweep

WORDS = {
    "run": ("run", "s.toml"),
    "plan": ("plan", "s.toml", "--online"),
    "validate": ("validate", "s.toml", "--online"),
    "schedule": ("schedule", "cron", "s.toml", "--at", "@daily"),
    "init": ("init", "here"),
    "schema": ("schema",),
    "completion": ("completion", "bash"),
    "list": ("list",),
    "import": ("import", "nothing"),
    "doctor": ("doctor",),
}
"""Commands in a folder without batches; `import` finds nothing."""

WORDS_AFTER = {
    "resume": ("resume", "s"),
    "retry": ("retry", "s", "--dry-run"),
    "abort": ("abort", "s"),
    "collect": ("collect", "s"),
    "export": ("export", "s", "--format", "csv"),
    "verify": ("verify", "s"),
    "logs": ("logs", "s", "job-1"),
    "prune": ("prune", "s", "--keep-last", "1"),
    "status": ("status", "s"),
    "watch": ("watch", "s"),
    "report": ("report", "s"),
}


SERVERS = {"platform", "ui"}
"""Commands that run until a signal; their own tests start them."""


def test_commands_start_in_their_own_interpreter(command: Command) -> None:
    """No command needs an import of another command."""
    command.write("s.toml", sweep("s", jobs=1, duration_secs=0, items=1))
    codes = {name: command.run_alone(*words).code for name, words in WORDS.items()}
    assert codes == {**dict.fromkeys(WORDS, 0), "import": 2}
    codes = {name: command.run_alone(*words).code for name, words in WORDS_AFTER.items()}
    assert codes == dict.fromkeys(WORDS_AFTER, 0)


def test_every_command_is_tried() -> None:
    """A new command is tried in its own interpreter too."""
    from orchestrator.cli.command_list import COMMANDS

    assert set(COMMANDS) - SERVERS == {*WORDS, *WORDS_AFTER}
