from __future__ import annotations

import shlex

import pytest

from orchestrator.cli import other_words
from orchestrator.cli.command_list import COMMANDS, GROUPS
from orchestrator.cli.parser import MAIN_OPTIONS, command_parser, parse

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
        (["start", "s.toml"], "unknown command 'start'; did you mean 'run'?"),
        (["help"], "unknown command 'help'; did you mean '--help'?"),
        (["run", "s.toml", "--dry-run"], "--dry-run; `orchestrator plan SPEC` shows what"),
        (["run", "s.toml", "-n"], "unknown option -n; `orchestrator plan SPEC` shows"),
        (["retry", "b", "-n"], "unknown option -n; did you mean '--dry-run'?"),
        (["run", "s.toml", "-j", "4"], "unknown option -j; did you mean '--max-runs'?"),
        (["status", "-n"], "unknown option -n\n"),
        (["status", "--workers", "4"], "unknown option --workers\n"),
        (["run", "s.toml", "t.toml"], "unexpected argument t.toml; a value with spaces"),
        (["run", "s.toml", "--max-runs", "ten"], "expected a number from 1, found 'ten'"),
        (["prune", "b", "--keep-last", "all"], "expected a number from 0, found 'all'"),
        (["prune", "b", "--keep-days", "30d"], "expected a number of days from 0, found '30d'"),
    ],
)  # fmt: skip
def test_unknown_name_is_answered_with_the_nearest(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt command or option ends with 2 and the name that was meant."""
    with pytest.raises(SystemExit) as ended:
        parse(words)
    assert (ended.value.code, expected in capsys.readouterr().err) == (2, True)


def test_words_of_other_tools_lead_to_commands_and_options_that_exist() -> None:
    """No word of another tool is one of ours, and each names a command or option of ours."""
    ours = {*COMMANDS, *MAIN_OPTIONS}
    assert set(other_words.COMMANDS.values()) - ours == set()
    assert other_words.COMMANDS.keys() & ours == set()
    parsers = map(command_parser, COMMANDS)
    options = {word for parser in parsers for word in parser._option_string_actions}
    assert set(other_words.OPTIONS.values()) - options == set()
    assert other_words.OPTIONS.keys() & options == set()


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
