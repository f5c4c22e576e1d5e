from __future__ import annotations

import json
from pathlib import Path

from tests.support.command import Command

ROOT = Path(__file__).parents[2]


def test_quickstart_runs_the_real_actor_offline(tmp_path: Path) -> None:
    """The sample sweep runs real processes of the sample Actor and brings their results home."""
    command = Command(folder=tmp_path, variables={"XDG_CACHE_HOME": cache()})
    done = command.run("run", ROOT / "jobs" / "quickstart.toml", "--local", "--json", timeout=110)
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 20)
    folder = Path(done.json["folder"])
    yarl = folder / "jobs" / "yarl"
    facts = json.loads((yarl / "output.json").read_text())
    items = [json.loads(line) for line in (yarl / "items.jsonl").read_text().splitlines()]
    assert facts["distribution"] == "yarl"
    assert facts["modules"] == len(items) > 3
    assert "ACTOR: Starting" in (yarl / "log.txt").read_text()


def cache() -> str:
    """Where set-up has built the Actor's environment, so that the test needs no network."""
    import os

    return os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
