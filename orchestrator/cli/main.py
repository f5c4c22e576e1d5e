"""
The `orchestrator` command, and the only place that turns errors into exit codes.

This module imports almost nothing, so that it handles signals first. It imports the module of a
command after it has parsed the arguments, so that `--help` and usage errors are fast.
"""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module

from orchestrator.app.setup.signals import LEAVE_SECS, handle_signals

TYPE_CHECKING = False  # not from `typing`, which takes as long to import as all the rest
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MODULES = {"import": "import_run", "schedule": "supervisor_files"}
"""The modules whose name differs from the command."""

TELLING_OF_A_BATCH = {"run", "resume", "retry", "abort", "collect", "prune"}
"""The commands whose exit codes say what they did with a batch, unless it is a `--dry-run`."""

RECIPIENTS = {"ORCHESTRATOR_NOTIFY_URLS", "ORCHESTRATOR_PING_URL"}
ALLOCATIONS_BETWEEN_COLLECTIONS = 50_000
"""Python's default of 700 collects garbage dozens of times during imports, which leave none."""


def main(
    arguments: Sequence[str] | None = None, *, leave_secs: float = LEAVE_SECS, **given: object
) -> None:
    """
    Runs a command and exits with its code.

    Args:
        arguments: None: those of the process, which is then the command's own.
        leave_secs: the process ends this long after a signal at the latest.
        given: options that only tests set, as `make_context` reads them: `timings`.
    """
    handle_signals(leave_secs)
    gc.set_threshold(ALLOCATIONS_BETWEEN_COLLECTIONS)
    from orchestrator.cli.streams import open_streams
    from orchestrator.descriptors import raise_limit

    open_streams()
    raise_limit()
    code = _call(list(sys.argv[1:] if arguments is None else arguments), given)
    _leave(code, at_once=arguments is None)


def _leave(code: int, *, at_once: bool) -> None:
    """
    Ends the process, also while a thread waits for a service or a folder that does not answer.

    Python's own end stops such a thread anywhere; in code of Rust or C++ that aborts the process.

    Args:
        at_once: leaves the memory to the system: to take all modules apart takes a seventh of the
            processor time of most commands.
    """
    threads = sys.modules.get("threading")
    if at_once or (threads is not None and threads.active_count() > 1):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _call(words: Sequence[str], given: Mapping[str, object]) -> int:
    """Runs a command; returns the exit code, also of errors."""
    # Until the words are parsed: the parser itself can raise an error.
    as_json = "--json" in words
    try:
        _refuse_other_bytes(words)
        from orchestrator.cli.parser import WrongArguments, parse

        try:
            name, options = parse(words)
        except WrongArguments as mistake:
            _announce(words, mistake)
            if as_json:
                from orchestrator.errors import UsageError

                raise UsageError(str(mistake)) from None
            raise
        as_json = getattr(options, "json", False)
        vars(options).update(given)
        from orchestrator.cli.quick_imports import quick_imports

        with quick_imports():
            module = import_module(f"orchestrator.cli.commands.{MODULES.get(name, name)}")
        code: int = module.call(options)
        if name not in TELLING_OF_A_BATCH or getattr(options, "dry_run", False):
            from orchestrator.cli.streams import refuse_lost_output

            refuse_lost_output()
    except Exception as error:  # noqa: BLE001 - the one place that turns errors into exit codes
        from orchestrator.cli.error_exit import print_error

        return print_error(error, as_json=as_json)
    return code


def _announce(words: Sequence[str], mistake: SystemExit) -> None:
    """Announces a `run` with wrong arguments, if its words or variables can say to whom."""
    if words[:1] == ["run"] and (
        any(map(os.path.isfile, words)) or not os.environ.keys().isdisjoint(RECIPIENTS)
    ):
        from orchestrator.cli.announced_call import announce_wrong_arguments

        announce_wrong_arguments(words[1:], str(mistake))


def _refuse_other_bytes(words: Sequence[str]) -> None:
    """
    Refuses arguments that are not text, because no ledger and no JSON can hold them.

    Raises:
        UsageError.
    """
    for word in words:
        # Python turns each byte that it cannot decode into one of these.
        if any("\udc80" <= letter <= "\udcff" for letter in word):
            from orchestrator.errors import UsageError

            raise UsageError(
                f"{word!r} is not text in the encoding {sys.getfilesystemencoding()}: rename the "
                "file, or set LC_ALL=C.UTF-8"
            )
