from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

from tests.support.command import Command

ROOT = Path(__file__).parents[2]

SPEC = """\
[batch]
name = "facts"
max_runs = 2
schedule = "@daily"
[[jobs]]
name = "{{ distribution }}"
actor = "local/package-facts"
input = { distribution = "{{ distribution }}" }
collect = { output = true }
matrix = { distribution = ["crawlee", "cryptography"] }
"""


def make_command(folder: Path) -> Command:
    """The command with the cache in which set-up has built the Actor: no network is used."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Command(folder=folder, variables={"XDG_CACHE_HOME": cache})


def items_of(job: Path) -> list[dict]:
    return [json.loads(line) for line in (job / "items.jsonl").read_text().splitlines()]


def test_quickstart_runs_the_real_actor_offline(tmp_path: Path) -> None:
    """The sample sweep runs real processes of the sample Actor and collects their results."""
    command = make_command(tmp_path)
    done = command.run("run", ROOT / "jobs" / "quickstart.toml", "--local", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 20)
    yarl = Path(done.json["folder"]) / "jobs" / "yarl"
    facts = json.loads((yarl / "output.json").read_text())
    assert facts["distribution"] == "yarl"
    assert facts["modules"] == len(items_of(yarl)) > 3
    assert "ACTOR: Starting" in (yarl / "log.txt").read_text()


def test_killed_local_batch_continues_with_its_real_runs(tmp_path: Path) -> None:
    """After a kill of both, the Actors' processes are migrated, and no item is there twice."""
    command = make_command(tmp_path)
    command.write("facts.toml", SPEC)
    words = ("--actors", str(ROOT / "jobs" / "actors"))
    for patience in (2.5, 3.5):
        process = command.start("run", "facts.toml", "--local", "--resume", *words)
        try:
            process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    done = command.run("run", "facts.toml", "--local", "--resume", *words, "--json")
    assert (done.code, done.json["runs"]) == (0, 2)
    for name in ("crawlee", "cryptography"):
        job = Path(done.json["folder"]) / "jobs" / name
        modules = [item["module"] for item in items_of(job)]
        assert len(modules) == len(set(modules))
        assert len(modules) == json.loads((job / "output.json").read_text())["modules"]
