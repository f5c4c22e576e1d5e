"""
The `orchestrator` command, and the only place that turns errors into exit codes.

This module imports next to nothing, so that signals are handled before anything else is imported.
The module of a command is imported after its arguments were parsed: `--help` and usage errors come
at once.
"""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from threading import Thread

from orchestrator.app.setup.signals import handle_signals

TYPE_CHECKING = False  # as of `typing`, which takes as long to import as all the rest
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MODULES = {"import": "import_run"}
"""The modules of commands that have another name than the command."""
SENDING = {"run", "resume", "retry"}
"""Commands that send requests soon."""
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
        from orchestrator.cli.parser import make_parser

        name = words[0] if words else ""
        parser = make_parser(name)
        parser.set_defaults(**given)
        options = parser.parse_args(words)
        if name in SENDING:
            _import_ahead()
        _import_log_library()
        module = import_module(f"orchestrator.cli.commands.{MODULES.get(name, name)}")
        code: int = module.call(options)
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


def _import_ahead() -> None:
    """
    Begins to import the HTTP library in a thread, for a command that will need it soon.

    It loads the certificates of the machine meanwhile, for which the interpreter is not needed.
    """
    # No daemon: a process that ends in the middle of an import waits for the end of the import. A
    # daemon is frozen with its locks held instead, and what is imported at the exit waits for ever.
    Thread(target=import_module, args=("aiohttp",)).start()
