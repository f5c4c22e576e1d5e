"""The command `apify-emulator` in a process of its own, which the fork server starts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.command import LONGEST_SECS, Done, Process, fork_server


def start_command(*words: str, **variables: str) -> Process:
    """Starts the command in the working folder, with the environment of the test."""
    server = fork_server(())
    environment = {**os.environ, **variables}
    return server.start("apify_emulator.cli.main:main", words, Path.cwd(), environment)


def run_command(*words: str, **variables: str) -> Done:
    """Runs the command and waits until it ends."""
    process = start_command(*words, **variables)
    try:
        out, err = process.communicate(LONGEST_SECS)
    except BaseException:
        process.kill()
        raise
    return Done(code=process.code, out=out, err=err)


@contextmanager
def serving(data: Path, *words: str, **variables: str) -> Iterator[tuple[Process, str, str]]:
    """Serves an emulator; gives its process, URL and token."""
    process = start_command("serve", "--data", str(data), *words, **variables)
    try:
        place = json.loads(process.first_line())
        yield process, place["url"], place["token"]
    finally:
        process.terminate()
        process.communicate(LONGEST_SECS)
