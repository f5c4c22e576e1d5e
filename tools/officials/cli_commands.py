"""The commands of Apify's CLI on runs, Actors, tasks, builds and storages."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apify_emulator import EmulatorHandle, running_emulator
from tools.officials.suite import ROOT, Place, Section, table

VERSION = "1.10.0"
COMMANDS = ROOT / "tests" / "officials" / "cli_commands.toml"
REFUSAL = "The emulator does not support this"
_SECS = 120
_TITLE = "The commands of Apify's CLI"
_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")
_X = {"title": "X", "type": "string", "description": "x", "editor": "textfield"}
_SCHEMA = {"title": "Input", "type": "object", "schemaVersion": 1, "properties": {"x": _X}}
_HEAD = f"""
`apify` {VERSION}: commands on runs, Actors, tasks, builds and storages, with their options
(`tests/officials/cli_commands.toml`). A command passes if it ends with 0 and prints what it was
asked for.
"""


class _Account:
    """Makes what a command names."""

    def __init__(self, emulator: EmulatorHandle) -> None:
        self._call = emulator.call
        self._numbers = itertools.count(1)
        actor = emulator.add_actor("apify/hello-world", [{"a": 1}, {"a": 2}], schema=_SCHEMA)
        self._hello = actor["id"]
        self._slow = emulator.add_actor("apify/slow", duration_secs=3600)["id"]

    def make(self, what: str) -> str:
        """Returns a name or an id for a placeholder."""
        made: str = getattr(self, f"_{what}")()
        return made

    def _actor(self) -> str:
        return "apify/hello-world"

    def _new(self) -> str:
        return f"new-{next(self._numbers)}"

    def _run(self) -> str:
        return self._id("POST", f"acts/{self._hello}/runs?waitForFinish=60")

    def _running(self) -> str:
        return self._id("POST", f"acts/{self._slow}/runs")

    def _task(self) -> str:
        name = self._new()
        self._id("POST", "actor-tasks", {"actId": self._hello, "name": name, "input": {"x": "y"}})
        return name

    def _build(self) -> str:
        build: str = self._call("GET", f"v2/acts/{self._hello}/builds")["data"]["items"][0]["id"]
        return build

    def _dataset(self) -> str:
        name = self._new()
        dataset = self._id("POST", f"datasets?name={name}")
        self._call("POST", f"v2/datasets/{dataset}/items", [{"a": 1}, {"a": 2, "b": "x"}])
        return dataset

    def _store(self) -> str:
        store = self._id("POST", f"key-value-stores?name={self._new()}")
        self._call("PUT", f"v2/key-value-stores/{store}/records/A", {"x": 1})
        self._call("PUT", f"v2/key-value-stores/{store}/records/B", "hello")
        return store

    def _id(self, method: str, path: str, body: Any = None) -> str:
        made: str = self._call(method, f"v2/{path}", body)["data"]["id"]
        return made


@dataclass(frozen=True)
class _Cli:
    """The installed CLI."""

    program: Path
    homes: Path
    variables: dict[str, str]

    def login(self, token: str) -> tuple[int, str]:
        """Logs in, for the commands that follow."""
        (self.homes / "first").mkdir(parents=True)
        return self._run("first", ["login", "--token", token])

    def run(self, words: Sequence[str]) -> tuple[int, str]:
        """
        Runs a command in a home folder of its own, because each command writes the login anew.

        Returns:
            The exit code, and everything that was printed.
        """
        home = Path(tempfile.mkdtemp(dir=self.homes))
        shutil.copytree(self.homes / "first", home, dirs_exist_ok=True)
        return self._run(home.name, words)

    def _run(self, home: str, words: Sequence[str]) -> tuple[int, str]:
        place = self.homes / home
        done = subprocess.run(
            [str(self.program), *words],
            check=False, cwd=place, env={**self.variables, "HOME": str(place)}, timeout=_SECS,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return done.returncode, done.stdout.decode(errors="replace")


def cli_commands(place: Place) -> Section:
    """Logs in, and runs all commands of the list."""
    program = place.npm(f"apify-cli@{VERSION}") / "apify"
    listed = tomllib.loads(COMMANDS.read_text())
    _write_actor(place.folder / "actors" / "documented")
    with running_emulator(actors_dirs=(place.folder / "actors",)) as emulator:
        cli = _Cli(program, place.folder / "homes", _environment(emulator))
        code, output = cli.login(emulator.token)
        if code:
            return Section(_TITLE, f"`apify login` fails: {output}", passed=False)
        account = _Account(emulator)
        entries = (*listed["command"], *listed["refused"])
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            problems = list(pool.map(lambda entry: _problem(entry, account, cli), entries))
    found = zip(entries, problems, strict=True)
    wrong = {entry["run"]: problem for entry, problem in found if problem}
    for command, problem in wrong.items():
        print(f"--- {command}\n{problem}")
    return _section(listed, wrong)


def _problem(entry: dict[str, str], account: _Account, cli: _Cli) -> str | None:
    """Returns what a command printed, if it did not do what it should."""
    words = [
        _PLACEHOLDER.sub(lambda match: account.make(match[1]), word)
        for word in shlex.split(entry["run"])
    ]
    code, output = cli.run(words)
    right = entry["says"] in output and code == 0 if "says" in entry else REFUSAL in output
    return None if right else f"exit code {code}\n{output}"


def _section(listed: dict[str, list[dict[str, str]]], wrong: dict[str, str]) -> Section:
    refused = {entry["run"] for entry in listed["refused"]}
    failed = [command for command in wrong if command not in refused]
    counts = [
        ("passed", str(len(listed["command"]) - len(failed))),
        ("failed", str(len(failed))),
        ("refused", str(len(refused))),
    ]
    parts = [_HEAD.strip(), table(("commands", "count"), counts)]
    if wrong:
        parts.append("Wrong: " + ", ".join(f"`{command}`" for command in wrong) + ".")
    rows = [(f"`{entry['run']}`", entry["reason"]) for entry in listed["refused"]]
    rows += [(f"`{entry['run']}`", entry["reason"]) for entry in listed["excluded"]]
    parts += [
        "These cannot work. The emulator says so in a sentence that the CLI prints:",
        table(("command", "reason"), rows),
    ]
    summary = f"{counts[0][1]} of {len(listed['command'])} pass, {len(rows)} more cannot"
    return Section(_TITLE, "\n\n".join(parts) + "\n", not wrong, summary)


def _environment(emulator: EmulatorHandle) -> dict[str, str]:
    variables = {name: text for name, text in emulator.variables.items() if name != "APIFY_TOKEN"}
    # The token belongs into the home folder, not into the keyring of the user who runs this.
    own = {"APIFY_DISABLE_KEYRING": "1", "NO_COLOR": "1"}
    return {"PATH": os.environ["PATH"], **own, **variables}


def _write_actor(folder: Path) -> None:
    """Writes an Actor that runs as a process, with a README."""
    (folder / ".actor").mkdir(parents=True)
    definition = {"actorSpecification": 1, "name": "documented", "version": "0.1"}
    (folder / ".actor" / "actor.json").write_text(json.dumps(definition))
    (folder / "README.md").write_text("# A documented Actor\n")
    (folder / "main.py").write_text(
        "import os, urllib.request\n"
        "url = '{APIFY_API_BASE_URL}/v2/datasets/{ACTOR_DEFAULT_DATASET_ID}/items'\n"
        "headers = {'Authorization': 'Bearer ' + os.environ['APIFY_TOKEN'],\n"
        "           'Content-Type': 'application/json'}\n"
        "request = urllib.request.Request(\n"
        "    url.format(**os.environ), b'{\"documented\":true}', headers, method='POST')\n"
        "urllib.request.urlopen(request)\n"
    )
