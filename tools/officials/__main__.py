"""
Runs suites that nobody here wrote against the emulator: `make officials`.

Nothing of a suite is kept here but its version, and the names of what cannot pass, with reasons. A
suite that cannot be reached is skipped with the reason, and its section of the page stays.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tools.officials import page
from tools.officials.api_fuzzing import api_fuzzing
from tools.officials.cli_commands import cli_commands
from tools.officials.cli_tests import cli_tests
from tools.officials.js_examples import js_examples
from tools.officials.python_client import python_client
from tools.officials.python_examples import python_examples
from tools.officials.shared_queue import shared_queue
from tools.officials.suite import Place, SkippedError, Suite
from tools.officials.templates import templates

SUITES: dict[str, Suite] = {
    "python-client": python_client,
    "python-examples": python_examples,
    "js-examples": js_examples,
    "cli-commands": cli_commands,
    "templates": templates,
    "shared-queue": shared_queue,
    "api-fuzzing": api_fuzzing,
    "cli-tests": cli_tests,
}


def main() -> None:
    """Runs the suites that were named, or all; `--write` writes their sections of the page."""
    parser = argparse.ArgumentParser(prog="python -m tools.officials", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(SUITES)}")
    parser.add_argument(
        "--checkout", action="append", default=[], metavar="REPOSITORY=PATH",
        help="use this repository instead of a clone, for example apify-client-python=/src/client",
    )  # fmt: skip
    parser.add_argument("--write", action="store_true", help="write docs/officials.md")
    arguments = parser.parse_args()
    if unknown := set(arguments.suites) - set(SUITES):
        parser.error(f"unknown suites: {', '.join(sorted(unknown))}")
    checkouts = dict(text.split("=", 1) for text in arguments.checkout)
    with tempfile.TemporaryDirectory(prefix="officials-") as name:
        failed = [
            suite
            for suite in arguments.suites or SUITES
            if not _passes(suite, Path(name) / suite, checkouts, write=arguments.write)
        ]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


def _passes(name: str, folder: Path, checkouts: dict[str, str], *, write: bool) -> bool:
    folder.mkdir()
    try:
        section = SUITES[name](Place(folder, checkouts))
    except SkippedError as error:
        print(f"{name}: skipped: {error}")
        return True
    print(f"{name}: {'passed' if section.passed else 'FAILED'}\n{section.text}")
    if write:
        page.write(section)
    return section.passed


if __name__ == "__main__":
    main()
