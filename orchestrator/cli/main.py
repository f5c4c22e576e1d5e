"""
The `orchestrator` command: its parser, and the only place that turns errors into exit codes.

Command modules are imported when their command is called, and import what is heavy when they run:
`--help` and usage errors come at once.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from orchestrator import __version__
from orchestrator.errors import OrchestratorError, SpecError

COMMANDS = {
    "run": "run a spec as a new batch",
    "resume": "go on where a batch stopped",
    "retry": "run failed jobs again, into the same batch",
    "abort": "abort a batch's live runs, and keep what they made",
    "collect": "fetch what the runs of a batch hold and the disk does not",
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

MODULES = {"import": "importing"}
"""
The modules of commands whose names are no names of modules.
"""

EXIT_CODES = """\
exit codes:
  0         every job succeeded and its results are on disk
  1         the batch ended; some jobs failed
  2         bad spec, config or usage, or an unknown Actor or task; nothing was started
  3         stopped early: budget, plan, failures, deadline, disk full; can be resumed
  4         another process holds this batch
  5         the platform cannot be reached, or refuses the token
  70        a bug of ours; the log has the traceback
  130, 143  interrupted; the batch can be resumed
"""

INTERRUPTED = 130
BUG = 70
ALLOCATIONS_BETWEEN_COLLECTIONS = 50_000
"""
Python's own 700 makes it look for garbage dozens of times while modules are read, which leave none.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """
    Runs a command and exits with its code.
    """
    gc.set_threshold(ALLOCATIONS_BETWEEN_COLLECTIONS)
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = make_parser(words[0] if words else None)
    options = parser.parse_args(words)
    try:
        code: int = options.call(options)
        sys.stdout.flush()
    except OrchestratorError as error:
        code = error.exit_code
        _tell(error, as_json=getattr(options, "json", False))
    except KeyboardInterrupt:
        code = INTERRUPTED
        sys.stderr.write("interrupted\n")
    except BrokenPipeError:
        # Whoever read our output has had enough; leave nothing for the interpreter to flush.
        sys.stdout = None
        code = 0
    except Exception as error:  # noqa: BLE001 - the last line of defence: a bug of ours
        code = BUG
        _tell_bug(error)
    sys.exit(code)


def make_parser(command: str | None = None) -> argparse.ArgumentParser:
    """
    The parser, with the options of one command, or of all where none is known.
    """
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
            module = importlib.import_module(f"orchestrator.cli.{MODULES.get(name, name)}")
            module.add_arguments(subparser)
            subparser.set_defaults(call=module.call)
    return parser


def _tell(error: OrchestratorError, *, as_json: bool) -> None:
    if as_json:
        import json

        facts: dict[str, object] = {
            "code": error.exit_code,
            "kind": type(error).__name__,
            "message": str(error),
        }
        if isinstance(error, SpecError):
            facts["mistakes"] = [
                {name: getattr(mistake, name) for name in mistake.__slots__}
                for mistake in error.mistakes
            ]
        sys.stderr.write(json.dumps(facts) + "\n")
        return
    lead = "" if isinstance(error, SpecError) else "orchestrator: "
    sys.stderr.write(f"{lead}{error}\n")


def _tell_bug(error: Exception) -> None:
    """
    Writes the traceback to a file of its own, and names it.
    """
    import tempfile
    import traceback

    text = "".join(traceback.format_exception(error))
    with tempfile.NamedTemporaryFile(
        "w", prefix="orchestrator-bug-", suffix=".log", delete=False
    ) as file:
        file.write(text)
    name = Path(file.name)
    sys.stderr.write(
        f"orchestrator: this is a bug of ours: {type(error).__name__}: {error}\n"
        f"the traceback is in {name}; a batch that was under way can be resumed\n"
    )
