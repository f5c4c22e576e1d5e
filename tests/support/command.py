"""
The command as a user has it: a process with its own environment, and a platform to talk to.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ORCHESTRATOR = (sys.executable, "-m", "orchestrator")
WATCHED = (sys.executable, "-m", "tests.support.watched_serve")
HURRIED = (sys.executable, "-m", "tests.support.hurried")
DYING = (sys.executable, "-m", "tests.support.dying")
LONGEST_SECS = 60
TRIES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """
    How a command ended.
    """

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """
        What it printed, as JSON.
        """
        return json.loads(self.out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """
    Runs the command in a folder of its own, with nothing of the tester's environment.

    Attributes:
        folder: the working folder; HOME is below it and empty.
        variables: the environment beside PATH.
        program: what is called; the tests' own programs wrap the command.
    """

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    program: Sequence[str] = ORCHESTRATOR

    def environment(self) -> dict[str, str]:
        """
        The whole environment of the process.
        """
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {**kept, "HOME": str(home), "PYTHONPATH": str(ROOT), **self.variables}

    def run(self, *words: str | Path, timeout: float = LONGEST_SECS) -> Done:
        """
        Runs a command to its end.
        """
        done = subprocess.run(
            [*self.program, *map(str, words)],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Done(code=done.returncode, out=done.stdout, err=done.stderr)

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """
        Starts a command in a process group of its own and goes on.
        """
        return subprocess.Popen(
            [*self.program, *map(str, words)],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def write(self, name: str, text: str) -> Path:
        """
        Writes a file into the working folder.
        """
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


def mark_of(folder: Path) -> str | None:
    """
    What the marks of a batch's starts begin with; None before it has a ledger.
    """
    if not (folder / "ledger.sqlite").exists():
        return None
    with closing(sqlite3.connect(f"file:{folder}/ledger.sqlite?mode=ro", uri=True)) as db:
        (mark,) = db.execute("SELECT mark FROM batch").fetchone()
    return str(mark)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedPlatform:
    """
    A local platform in a process of its own.
    """

    url: str
    token: str

    def variables(self) -> dict[str, str]:
        """
        What points the command to it.
        """
        return {"APIFY_TOKEN": self.token, "APIFY_API_BASE_URL": self.url}

    def get(self, path: str) -> Any:
        """
        An answer of its API, as JSON; without its envelope where it has one.
        """
        request = urllib.request.Request(  # noqa: S310 - on loopback
            f"{self.url}/v2{path}", headers={"Authorization": f"Bearer {self.token}"}
        )
        for _ in range(TRIES):
            # The platform may misbehave to those who look at it too.
            with suppress(OSError), urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                found = json.load(answer)
                return found["data"] if isinstance(found, dict) and "data" in found else found
        raise AssertionError(f"the platform does not answer {path}")

    def post(self, path: str, value: Any) -> None:
        """
        Makes something by its API.
        """
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        body = json.dumps(value).encode()
        request = urllib.request.Request(f"{self.url}/v2{path}", body, headers)  # noqa: S310
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - on loopback

    def runs(self) -> list[dict[str, Any]]:
        """
        All runs that were ever started there: the oracle of what a batch cost.
        """
        runs: list[dict[str, Any]] = []
        while True:
            page = self.get(f"/actor-runs?limit=1000&offset={len(runs)}")
            runs += page["items"]
            if len(runs) >= page["total"]:
                return runs

    def runs_of(self, folder: Path) -> list[dict[str, Any]]:
        """
        The runs that were started for the batch in a folder.
        """
        mark = mark_of(folder)
        if mark is None:
            return []
        return [run for run in self.runs() if f"(attempt {mark}." in run["meta"]["userAgent"]]


def start_platform(data: Path, *words: str) -> tuple[subprocess.Popen[str], ServedPlatform]:
    """
    Starts a platform that the caller ends.
    """
    process = subprocess.Popen(
        [*WATCHED, "platform", "serve", "--data", str(data), *words],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert process.stdout is not None
    return process, ServedPlatform(**json.loads(process.stdout.readline()))


@contextmanager
def served_platform(data: Path, *words: str) -> Iterator[ServedPlatform]:
    """
    Starts a platform and ends it on leaving.

    Every answer that it gave must have been what the API's description says.
    """
    process, platform = start_platform(data, *words)
    try:
        yield platform
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0, "the platform broke the API's contract; see its stderr"


def wait_until(holds: Callable[[], bool], what: str, secs: float = 30.0) -> None:
    """
    Waits for something outside this process, and says what never came.
    """
    until = time.monotonic() + secs
    while not holds():
        assert time.monotonic() < until, f"never happened: {what}"
        time.sleep(0.02)


def sweep(
    name: str = "sweep", jobs: int = 3, *, batch: str = "", job: str = "", **given: Any
) -> str:
    """
    A spec of simulated jobs.

    Args:
        batch, job: further lines of those tables.
        given: the input of the simulated Actor.
    """
    return (
        f'[batch]\nname = "{name}"\n{batch}\n'
        f'[[jobs]]\nname = "job-{{{{ n }}}}"\nactor = "orchestrator/simulated"\n{job}\n'
        f"input = {_toml(given)}\nmatrix = {{ n = {{ range = [1, {jobs}] }} }}\n"
    )


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value)
