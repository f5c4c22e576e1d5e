from __future__ import annotations

import shlex

import pytest

from orchestrator.cli.command_list import COMMANDS, GROUPS
from orchestrator.cli.parser import command_parser, parse

EXAMPLES = [(name, example) for name, command in COMMANDS.items() for example in command.examples]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["rum", "s.toml"], "unknown command 'rum'; did you mean 'run'?"),
        (["statsu"], "unknown command 'statsu'; did you mean 'status'?"),
        (["xyzzy"], "unknown command 'xyzzy'\n"),
        (["run", "s", "--max-rnus", "3"], "unknown option --max-rnus; did you mean '--max-runs'?"),
        (["run", "s.toml", "--limti=3"], "unknown option --limti; did you mean '--limit'?"),
        (["--verson"], "unknown option --verson; did you mean '--version'?"),
        ([], "expected a command; `orchestrator --help` lists all"),
    ],
)  # fmt: skip
def test_unknown_name_is_answered_with_the_nearest(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt command or option ends with 2 and the name that was meant."""
    with pytest.raises(SystemExit) as ended:
        parse(words)
    assert (ended.value.code, expected in capsys.readouterr().err) == (2, True)


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[text for _, text in EXAMPLES])
def test_example_of_the_help_is_a_valid_call(name: str, example: str) -> None:
    """A reader can copy each line of `--help`; what follows two spaces is a comment."""
    call = example.split("  ")[0].split(" > ")[0].removeprefix("source <(").removesuffix(")")
    program, command, *rest = shlex.split(call)
    assert (program, command) == ("orchestrator", name)
    command_parser(name).parse_args(rest)


def test_help_lists_the_commands_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    """Each group has its title, and each command its summary."""
    with pytest.raises(SystemExit):
        parse(["--help"])
    text = capsys.readouterr().out
    assert [title for title in GROUPS if f"\n{title}:\n" not in text] == []
    assert [name for name, one in COMMANDS.items() if one.summary not in text] == []
