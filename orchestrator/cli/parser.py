"""Parses the command line, and says what is wrong with it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import NoReturn

from orchestrator.cli.command_list import COMMANDS, GROUPS
from orchestrator.version import __version__

EXIT_CODES = """\
exit codes:
  0         every job succeeded and its results are on disk
  1         the batch ended; some jobs failed
  2         bad spec, config or usage, or an unknown Actor or task; nothing was started
  3         stopped early: budget, plan, failures, deadline, disk full; can be resumed
  4         another process holds this batch
  5         the platform cannot be reached, or refuses the token
  70        a bug of ours; the log has the traceback
  129, 130, 143  interrupted by SIGHUP, SIGINT or SIGTERM; the batch can be resumed

`orchestrator COMMAND --help` lists the options of a command, with examples.
"""


MAIN_OPTIONS = {"--help", "--version"}


class WrongArguments(SystemExit):
    """Ends the process with 2; `str()` of it is the mistake."""

    def __init__(self, mistake: str) -> None:
        super().__init__(mistake)
        self.code = 2


class Parser(argparse.ArgumentParser):
    """A parser that names the nearest option when one is unknown."""

    def error(self, message: str) -> NoReturn:
        """Ends the process with 2, after the usage and the mistake."""
        kind, _, words = message.partition(": ")
        if kind == "unrecognized arguments":
            message = f"unexpected argument {words}; a value with spaces needs quotes"
            if words.startswith("-"):
                option = words.split(maxsplit=1)[0].partition("=")[0]
                message = f"unknown option {option}{self._instead_of(option)}"
        self.print_usage(sys.stderr)
        sys.stderr.write(f"{self.prog}: error: {message}\n")
        raise WrongArguments(message)

    def _instead_of(self, option: str) -> str:
        """What to write instead of an unknown option; empty if that is not known."""
        from orchestrator.cli.other_words import OPTIONS, PLAN

        if option in PLAN and self.get_default("command") == "run":
            return "; `orchestrator plan SPEC` shows what would run, and starts nothing"
        return _nearest(option, self._option_string_actions, OPTIONS)


def parse(words: Sequence[str]) -> tuple[str, argparse.Namespace]:
    """
    The command that the words name, and its options.

    Ends the process after `--help` and `--version`.

    Raises:
        WrongArguments: the mistake is printed.
    """
    if not words or words[0].startswith("-"):
        parser = _main_parser()
        parser.parse_args(words)
        parser.error("expected a command; `orchestrator --help` lists all")
    name, *rest = words
    if name not in COMMANDS:
        from orchestrator.cli.other_words import COMMANDS as OTHERS

        _main_parser().error(f"unknown command {name!r}{_nearest(name, COMMANDS, OTHERS)}")
    return name, command_parser(name).parse_args(rest)


def command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one command: the others are not needed, and take time to build."""
    command = COMMANDS[name]
    parser = Parser(
        prog=f"orchestrator {name}",
        description=f"{command.summary[0].upper()}{command.summary[1:]}.",
        epilog="\n  ".join(("examples:", *command.examples)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=name)
    command.add_arguments(parser)
    return parser


def _main_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="orchestrator",
        usage="%(prog)s [-h] [--version] COMMAND ...",
        description="Run batches of Apify Actors and tasks: each run started once, every limit "
        f"obeyed, nothing lost.\n\n{_list_of_commands()}",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"orchestrator {__version__}")
    return parser


def _list_of_commands() -> str:
    width = max(map(len, COMMANDS))
    blocks = []
    for title, group in GROUPS.items():
        lines = (f"  {name:{width}}  {command.summary}" for name, command in group.items())
        blocks.append("\n".join((f"{title}:", *lines)))
    return "\n\n".join(blocks)


def _nearest(word: str, known: Collection[str], others: Mapping[str, str]) -> str:
    """
    A question with the right name; empty if none is near.

    Args:
        others: the right names for the words of other tools.
    """
    # Imported for a mistake only.
    from difflib import get_close_matches

    right = others.get(word)
    if right is None or (right not in known and right not in MAIN_OPTIONS):
        # Without dashes, which would make all options alike.
        names = {name.lstrip("-"): name for name in known}
        bare = word.lstrip("-")
        near = get_close_matches(bare, names, n=1) if len(bare) > 1 else []
        right = names[near[0]] if near else None
    return "" if right is None else f"; did you mean {right!r}?"
