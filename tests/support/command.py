"""Runs the command as a user does: a process with its own environment, beside a platform."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

from tests.support.batch_marks import mark_of
from tests.support.fork_connection import connect
from tests.support.tracebacks import temporary_folder

ROOT = Path(__file__).parents[2]
ORCHESTRATOR = "orchestrator.cli.main:main"
WATCHED = "tests.support.watched_serve:main_watched"
HURRIED = "tests.support.short_pauses:main_with_short_pauses"
DYING = "tests.support.two_lives:run_twice"
LONGEST_SECS = 240
BUSY_SECS = 20
"""What a busy machine adds to the time of an answer, at most; a hang takes `LONGEST_SECS`."""
TRIES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command ended, and its processor time if the fork server has started it."""

    code: int
    out: str
    err: str
    cpu_secs: float = 0.0

    @property
    def json(self) -> Any:
        """Its stdout, parsed as JSON."""
        return json.loads(self.out)


class Process:
    """A process that the fork server has started; `cpu_secs` is its processor time at its end."""

    def __init__(self, out: Path, err: Path) -> None:
        self._out, self._err = out, err
        self._started, self._ended = Event(), Event()
        self._pid = 0
        self._code: int | None = None
        self.cpu_secs = 0.0

    @property
    def pid(self) -> int:
        """The id of the process and of its process group."""
        assert self._started.wait(LONGEST_SECS), "the process was not forked"
        return self._pid

    @property
    def code(self) -> int:
        """The exit code of a process that has ended; for a signal, its negative number."""
        assert self._code is not None, "the process still runs"
        return self._code

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self._ended.is_set()

    def communicate(self, timeout: float = LONGEST_SECS) -> tuple[str, str]:
        """
        Waits until the process ends; returns its stdout and stderr.

        Raises:
            subprocess.TimeoutExpired: the process still runs.
        """
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("orchestrator", timeout)
        return _text(self._out), _text(self._err)

    def first_line(self) -> str:
        """The first line that the process writes to stdout."""
        wait_until(lambda: "\n" in _text(self._out) or self.has_ended, "a line")
        return _text(self._out).partition("\n")[0]

    def errors(self) -> str:
        """What the process has written to stderr so far."""
        return _text(self._err)

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless the process has ended."""
        with suppress(ProcessLookupError):
            if not self.has_ended:
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Sends SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Sends SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def receive(self, event: Mapping[str, Any]) -> None:
        """Takes a message of the fork server: the pid of this process, or how it ended."""
        if "pid" in event:
            self._pid = event["pid"]
            self._started.set()
        else:
            self._code = event["code"]
            self.cpu_secs = event["cpu_secs"]
            self._ended.set()


class ForkServer:
    """The connection to the fork server, which forks commands after their imports."""

    def __init__(self, preloaded: Mapping[str, str], modules: Sequence[str]) -> None:
        self._files = TemporaryDirectory()
        self._children: dict[int, Process] = {}
        self._connection = connect(preloaded, modules)
        Thread(target=self._listen, daemon=True).start()

    def start(
        self,
        program: str,
        words: Iterable[str | Path],
        folder: Path,
        environment: dict[str, str],
        *,
        mixed: bool = False,
        terminal: str | None = None,
    ) -> Process:
        """
        Starts a command.

        Args:
            mixed: stdout has its stderr too.
            terminal: the device of the terminal on which it is.
        """
        number = len(self._children)
        out, err = (Path(self._files.name, f"{number}.{name}") for name in ("out", "err"))
        err = out if mixed else err
        child = self._children[number] = Process(out, err)
        order = {
            "id": number,
            "program": program,
            "words": [str(word) for word in words],
            "folder": str(folder),
            "environment": environment,
            "in": terminal or os.devnull,
            "out": terminal or str(out),
            "err": terminal or str(err),
        }
        self._connection.sendall(json.dumps(order).encode() + b"\n")
        return child

    def _listen(self) -> None:
        with self._connection.makefile() as lines:
            for line in lines:
                event = json.loads(line)
                self._children[event["id"]].receive(event)


@cache
def fork_server(preloaded: tuple[tuple[str, str], ...], *modules: str) -> ForkServer:
    """The fork server with variables for a library that shifts the clock, and more modules."""
    return ForkServer(dict(preloaded), modules)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """
    Runs the command in its own folder, without any variable of the tester's environment.

    Attributes:
        folder: the working folder; HOME is below it and empty.
        variables: the environment beside PATH.
        program: the function to call; functions of the tests wrap that of the command.
        modules: what the fork server of this command imports, beside what each command needs.
    """

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    program: str = ORCHESTRATOR
    modules: tuple[str, ...] = ()

    def environment(self) -> dict[str, str]:
        """All environment variables of the process."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        own = {"HOME": str(home), "PYTHONPATH": str(ROOT), "TMPDIR": temporary_folder()}
        return {**kept, **own, **self.variables}

    def run(self, *words: str | Path, timeout: float = LONGEST_SECS) -> Done:
        """Runs a command and waits until it ends."""
        process = self.start(*words)
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
        return Done(code=process.code, out=out, err=err, cpu_secs=process.cpu_secs)

    def start(self, *words: str | Path, terminal: str | None = None) -> Process:
        """Starts a command in its own process group and returns at once."""
        # What a library that shifts the clock reads when a process starts; see `clock`.
        names = (name for name in self.variables if name.startswith(("LD_PRELOAD", "FAKETIME_")))
        server = fork_server(tuple((name, self.variables[name]) for name in names), *self.modules)
        return server.start(self.program, words, self.folder, self.environment(), terminal=terminal)

    def run_alone(self, *words: str | Path) -> Done:
        """Runs a command in its own interpreter, as a user does, and waits until it ends."""
        return self._run([sys.executable, "-m", "orchestrator", *map(str, words)])

    def run_script(self, script: str) -> Done:
        """Runs a shell script in which `orchestrator` is the command."""
        command = f"orchestrator() {{ '{sys.executable}' -m orchestrator \"$@\"; }}\n"
        return self._run(["bash", "-c", command + script])

    def _run(self, words: Sequence[str]) -> Done:
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=LONGEST_SECS,
            check=False,
        )
        return Done(code=done.returncode, out=done.stdout, err=done.stderr)

    def write(self, name: str, text: str) -> Path:
        """Writes a file in the working folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedPlatform:
    """An emulator in a process of its own."""

    url: str
    token: str

    def variables(self) -> dict[str, str]:
        """The variables that send the command to this platform, and shorten its waits."""
        return {
            "APIFY_TOKEN": self.token,
            "APIFY_API_BASE_URL": self.url,
            # The platform counts at once, unless a test sets another value.
            "ORCHESTRATOR_COUNTS_SETTLE_SECS": "0",
        }

    def get(self, path: str) -> Any:
        """Reads an answer of the API as JSON, without its envelope if it has one."""
        request = urllib.request.Request(  # noqa: S310 - on loopback
            f"{self.url}/v2{path}", headers={"Authorization": f"Bearer {self.token}"}
        )
        for _ in range(TRIES):
            # The platform may have faults for this client too.
            try:
                with urllib.request.urlopen(request, timeout=BUSY_SECS) as answer:  # noqa: S310
                    found = json.load(answer)
            except urllib.error.HTTPError as refusal:
                refusal.close()
            except OSError:
                continue
            else:
                return found["data"] if isinstance(found, dict) and "data" in found else found
        raise AssertionError(f"the platform does not answer {path}")

    def post(self, path: str, value: Any, *, version: str = "/v2") -> Any:
        """Creates something by the API, and returns it."""
        return json.loads(self._send("POST", path, value, version=version)).get("data")

    def post_control(self, what: str, value: Any) -> Any:
        """Changes the emulator itself: `reset`, `actors`, `limits`, …; returns its new state."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        body = b"" if value is None else json.dumps(value).encode()
        url = f"{self.url}/__emulator/{what}"
        request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310
        with urllib.request.urlopen(request, timeout=LONGEST_SECS) as answer:  # noqa: S310 - on loopback
            return json.load(answer)["data"]

    def put(self, path: str, value: Any) -> None:
        """Stores a value by the API."""
        self._send("PUT", path, value)

    def delete(self, path: str) -> None:
        """Deletes something by the API."""
        self._send("DELETE", path, None)

    def _send(self, method: str, path: str, value: Any, *, version: str = "/v2") -> bytes:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        body = json.dumps(value).encode()
        url = f"{self.url}{version}{path}"
        request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=LONGEST_SECS) as answer:  # noqa: S310 - on loopback
            return bytes(answer.read())

    def runs(self) -> list[dict[str, Any]]:
        """All runs that were ever started: they show what a batch cost."""
        runs: list[dict[str, Any]] = []
        while True:
            page = self.get(f"/actor-runs?limit=1000&offset={len(runs)}")
            runs += page["items"]
            if len(runs) >= page["total"]:
                return runs

    def runs_of(self, folder: Path) -> list[dict[str, Any]]:
        """The runs that were started for the batch in a folder."""
        mark = mark_of(folder)
        if mark is None:
            return []
        return [run for run in self.runs() if f"(attempt {mark}." in run["meta"]["userAgent"]]


def start_platform(
    data: Path, *words: str, program: str = WATCHED
) -> tuple[Process, ServedPlatform]:
    """Starts a platform; the caller ends it."""
    serve = ("platform", "serve", "--data", str(data), *words)
    environment = {**os.environ, "TMPDIR": temporary_folder()}
    # Only a platform that is watched needs the validators of its answers, which are large.
    modules = (WATCHED.partition(":")[0],) if program == WATCHED else ()
    process = fork_server((), *modules).start(program, serve, ROOT, environment)
    line = process.first_line()
    assert line, process.errors()
    return process, ServedPlatform(**json.loads(line))


@contextmanager
def served_platform(data: Path, *words: str, program: str = WATCHED) -> Iterator[ServedPlatform]:
    """
    Starts a platform, and ends it at the end of the block.

    Fails if any of its answers differs from the API's description.
    """
    process, platform = start_platform(data, *words, program=program)
    try:
        yield platform
    finally:
        process.terminate()
        process.communicate(timeout=LONGEST_SECS)
    assert process.code == 0, "the platform broke the API's contract; see its stderr"


def wait_until(holds: Callable[[], bool], what: str, secs: float = LONGEST_SECS) -> None:
    """Waits for something outside this process; fails with the name of what did not happen."""
    until = time.monotonic() + secs
    pause = 0.01
    while not holds():
        assert time.monotonic() < until, f"never happened: {what}"
        time.sleep(pause)
        pause = min(1.2 * pause, 0.1)  # each look costs CPU, also that of the platform


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


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
