from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.support.command import DYING, ROOT, Command, Done, ServedPlatform, served_platform

Die = Callable[[str, Command, Sequence[str], Sequence[str]], Done]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPlatform]:
    """A local platform that outlives what is killed."""
    words = ("--sync-wait-secs", "1")
    with served_platform(tmp_path_factory.mktemp("platform"), *words) as platform:
        yield platform


@pytest.fixture(scope="module")
def die_at() -> Iterator[Die]:
    """Runs a command until it dies at a named point, then runs another; see `dying`."""
    process = subprocess.Popen(
        DYING, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    orders, codes = process.stdin, process.stdout

    def die(point: str, command: Command, first: Sequence[str], second: Sequence[str]) -> Done:
        order = {
            "folder": str(command.folder),
            "environment": command.environment(),
            "point": point,
            "first": first,
            "second": second,
        }
        orders.write(json.dumps(order) + "\n")
        orders.flush()
        code = int(codes.readline())
        out, err = ((command.folder / name).read_text() for name in ("out", "err"))
        return Done(code=code, out=out, err=err)

    yield die
    process.communicate(timeout=30)
