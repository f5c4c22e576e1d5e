"""
The `orchestrator` command: its parser, and the only place that turns errors into exit codes.

This module imports next to nothing, so that signals are handled before anything else is imported.
Command modules are imported when their command is called, and import what is heavy when they run:
`--help` and usage errors come at once.
"""

from __future__ import annotations

import gc
import sys

from orchestrator.app.setup.signals import handle_signals

TYPE_CHECKING = False  # as of `typing`, which takes as long to import as all the rest
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

COMMANDS = {
    "run": "run a spec as a new batch",
    "resume": "go on where a batch stopped",
    "retry": "run failed jobs again, into the same batch",
    "abort": "abort a batch's live runs, and keep what they made",
    "collect": "fetch what the runs of a batch hold and the disk does not",
    "export": "write one table of all results of a batch",
    "verify": "check a batch's files against its ledger, offline",
    "logs": "print the log of a job's run, and follow it while it runs",
    "prune": "remove old batches of a name",
    "plan": "tell what a spec will do, take and cost; starts nothing",
    "validate": "tell the mistakes of specs; starts nothing",
    "status": "show how a batch stands",
    "watch": "follow a batch that another process runs",
    "report": "write a batch's reports again, and name the HTML page",
    "list": "list the batches under the output folder",
    "init": "write a commented spec and config to start from",
    "import": "print the spec of a run that was made in the Console",
    "schema": "print the JSON Schema of a spec, for editors",
    "platform": "run the local platform",
}

MODULES = {"import": "import_run"}
"""The modules of commands whose names are no names of modules."""

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
"""

ALLOCATIONS_BETWEEN_COLLECTIONS = 50_000
"""
Python's own 700 makes it look for garbage dozens of times while modules are read, which leave none.
"""


def main(arguments: Sequence[str] | None = None, **given: object) -> None:
    """
    Runs a command and exits with its code.

    Args:
        given: what tests give beside the arguments, as `make_context` reads it: `timings`.
    """
    handle_signals()
    gc.set_threshold(ALLOCATIONS_BETWEEN_COLLECTIONS)
    from orchestrator.cli.streams import open_streams
    from orchestrator.descriptors import raise_limit

    open_streams()
    raise_limit()
    sys.exit(_call(list(sys.argv[1:] if arguments is None else arguments), given))


def _call(words: Sequence[str], given: Mapping[str, object]) -> int:
    """Runs a command; returns the exit code, also of errors."""
    # Not from the parser: some mistakes are found while it reads the arguments.
    as_json = "--json" in words
    try:
        _refuse_other_bytes(words)
        parser = make_parser(words[0] if words else None)
        parser.set_defaults(**given)
        options = parser.parse_args(words)
        _import_log_library()
        code: int = options.call(options)
    except Exception as error:  # noqa: BLE001 - the place that says what an error means
        from orchestrator.cli.error_exit import tell

        return tell(error, as_json=as_json)
    return code


def _import_log_library() -> None:
    """Imports structlog without `rich`, which it takes where it finds it and which costs 75 ms."""
    # Only here: the process of a program that uses us as a library is not ours.
    sys.modules["rich"] = None  # type: ignore[assignment]  # how Python marks what is not there
    try:
        import structlog  # noqa: F401 - for the modules that the command imports
    finally:
        del sys.modules["rich"]


def _refuse_other_bytes(words: Sequence[str]) -> None:
    """
    Refuses arguments that are not text: they could be written to no ledger and no JSON.

    Raises:
        UsageError.
    """
    for word in words:
        # Python reads bytes that it cannot decode as these.
        if any("\udc80" <= letter <= "\udcff" for letter in word):
            from orchestrator.errors import UsageError

            raise UsageError(
                f"{word!r} is not text in the encoding {sys.getfilesystemencoding()}: rename the "
                "file, or set LC_ALL=C.UTF-8"
            )


def make_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser, with the options of one command, or of all where none is known."""
    import argparse
    import importlib

    from orchestrator import __version__

    parser = argparse.ArgumentParser(
        prog="orchestrator",
        description="Run batches of Apify Actors and tasks: each run started once, every limit "
        "obeyed, nothing lost.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"orchestrator {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        subparser = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if command in {name, None}:
            module = importlib.import_module(f"orchestrator.cli.commands.{MODULES.get(name, name)}")
            module.add_arguments(subparser)
            subparser.set_defaults(call=module.call)
    return parser
