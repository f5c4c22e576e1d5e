"""Random commands on one batch, with changes of its spec and with kills, and what must hold."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.crash.platform_evidence import seen_runs, started_twice
from tests.crash.test_kills import FAULTS, QUICK
from tests.support.command import HURRIED, Command, Done, ServedPlatform, served_platform

IS_SOAK = bool(os.environ.get("ORCHESTRATOR_SOAK"))
SEEDS = 60 if IS_SOAK else 1
STEPS = 8
MOST_CALLS = 12
"""How many calls bring a batch to its end, at most: some of them stop early by their rules."""

CODES = {
    "resume": {0, 1, 2, 3},
    "retry": {0, 1, 2, 3},
    "abort": {0},
    "collect": {0, 1},
    "verify": {0},
    "report": {0},
    "status": {0},
    "export": {0},
}
LOOKS = [
    ["abort", "shop"],
    ["collect", "shop"],
    ["verify", "shop"],
    ["report", "shop"],
    ["status", "shop"],
    ["export", "shop", "--format", "csv"],
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """
    Searches, a page of each of their items, and a report of all pages.

    Attributes:
        first, last: the numbers of the searches.
        fails: how many attempts of each search fail first.
        stops: after how many failures the batch stops; 0 for no such limit.
        form: of the merged results; empty if they are not merged.
    """

    first: int
    last: int
    items: int
    fails: int
    retries: int
    stops: int
    has_report: bool
    has_pool: bool
    form: str

    @property
    def keys(self) -> set[str]:
        """The keys of the jobs that a batch has at its end, if it has all of this spec."""
        searches = {f"search-{n}" for n in range(self.first, self.last + 1)}
        return searches | ({"report"} if self.has_report else set())

    def text(self) -> str:
        """The spec, as TOML."""
        kept = f"duration_secs = 0.05, items = {self.items}, fail_attempts = {self.fails}"
        return (
            '[batch]\nname = "shop"\nmax_runs = 3\n'
            + (f"stop_after_failures = {self.stops}\n" if self.stops else "")
            + (f'[results]\nformat = "{self.form}"\n' if self.form else "")
            + ("[pools]\nshop = { max_runs = 2 }\n" if self.has_pool else "")
            + f'[defaults]\nactor = "orchestrator/simulated"\nretries = {self.retries}\n'
            + '[[jobs]]\nname = "search-{{ n }}"\n'
            + ('pools = ["shop"]\n' if self.has_pool else "")
            + f"matrix = {{ n = {{ range = [{self.first}, {self.last}] }} }}\n"
            + f'input = {{ {kept}, item = {{ n = "{{{{ n }}}}" }} }}\n'
            + '[[jobs]]\nname = "page-{{ source }}-{{ i }}"\n'
            + 'input = { duration_secs = 0.01, items = 1, of = "{{ source }}-{{ i }}" }\n'
            + '[jobs.matrix]\nrows = { needs = "search-*", fields = { i = "index" } }\n'
            + ('[[jobs]]\nname = "report"\nneeds = ["page-*"]\n' if self.has_report else "")
        )


def drawn(chance: random.Random) -> Spec:
    """Some spec."""
    first = chance.randint(1, 2)
    return Spec(
        first=first,
        last=first + chance.randint(0, 4),
        items=chance.randint(1, 3),
        fails=chance.choice([0, 1, 2]),
        retries=chance.choice([0, 1]),
        stops=chance.choice([0, 1, 2]),
        has_report=chance.random() < 0.5,
        has_pool=chance.random() < 0.5,
        form=chance.choice(["", "jsonl", "csv"]),
    )


@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_commands_leave_a_batch_that_can_be_brought_to_its_end(
    tmp_path: Path, seed: int
) -> None:
    """Each code has a reason, all reports agree, no attempt runs twice, and 0 means whole."""
    chance = random.Random(f"commands {seed}")  # noqa: S311 - to be repeatable
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps({**FAULTS, "seed": seed}))
    words = ("--faults", str(faults)) if chance.random() < 0.5 else ()
    with served_platform(tmp_path / "platform", *words) as platform:
        variables = {**platform.variables(), **QUICK, "ORCHESTRATOR_BREAKER_PROBE_SECS": "0.3"}
        command = Command(folder=tmp_path, variables=variables, program=HURRIED)
        command.write("shop.toml", drawn(chance).text())
        _checked(command, "run", "shop.toml")
        for _ in range(STEPS):
            _step(command, chance)
            _check_reports(command)
        last = replace(drawn(chance), stops=0)
        command.write("shop.toml", last.text())
        calls = [["resume", "shop", "--accept-changes"], *[["retry", "shop"]] * MOST_CALLS]
        assert any(_checked(command, *call).code == 0 for call in calls)
        _check_end(command, platform, last)


def _step(command: Command, chance: random.Random) -> None:
    """One command, which may be stopped at a random moment."""
    words = ["resume", "shop"]
    kind = chance.random()
    if kind < 0.3:
        command.write("shop.toml", drawn(chance).text())
        words.append("--accept-changes")
    elif kind < 0.5:
        words = ["retry", "shop"]
    elif kind < 0.7:
        words = chance.choice(LOOKS)
    if chance.random() < 0.5:
        _checked(command, *words)
        return
    process = command.start(*words)
    number = chance.choice([signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=chance.uniform(0.02, 0.6))
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
    _, err = process.communicate()
    assert process.code in {*CODES[words[0]], 128 + number, -number}, err


def _checked(command: Command, *words: str) -> Done:
    done = command.run(*words)
    assert done.code in CODES.get(words[0], {0, 1, 3}), (words, done.err)
    assert done.code == 0 or done.err, words
    assert "Traceback" not in done.err, done.err
    return done


def _newest(command: Command) -> Path:
    (folder,) = (command.folder / "output" / "shop").glob("2*")
    return folder


def _statuses(folder: Path) -> dict[str, str]:
    with closing(sqlite3.connect(f"file:{folder}/ledger.sqlite?mode=ro", uri=True)) as db:
        return dict(db.execute("SELECT key, status FROM jobs"))


def _check_reports(command: Command) -> dict[str, Any]:
    """An ended batch has no job left; its summary and its list of jobs are those of the ledger."""
    folder = _newest(command)
    status: dict[str, Any] = command.run("status", "shop", "--json").json
    jobs = _statuses(folder)
    assert status["jobs_total"] == sum(status["jobs"].values()) == len(jobs)
    if status["state"] == "ended":
        settled = [name for name in jobs.values() if name != "WAITING"]
        assert len(settled) == len(jobs), status
        assert (set(settled) == {"SUCCEEDED"}) == (status["exit_code"] == 0), status
    return status


def _check_end(command: Command, platform: ServedPlatform, spec: Spec) -> None:
    folder = _newest(command)
    status = _check_reports(command)
    jobs = _statuses(folder)
    assert (status["state"], status["exit_code"]) == ("ended", 0), status
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["jobs"] == status["jobs"]
    lines = [json.loads(line) for line in (folder / "jobs.jsonl").read_text().splitlines()]
    assert {line["key"]: line["status"] for line in lines} == jobs
    pages = {
        f"page-{line['key']}-{index}"
        for line in lines
        if line["key"].startswith("search-")
        for index in range(line["items"])
    }
    assert spec.keys | pages <= set(jobs)
    assert command.run("verify", "shop").code == 0
    if spec.form:
        assert (folder / "results" / f"items.{spec.form}").exists()
    # The lists of a faulty platform show the last runs a moment later.
    platform.post_control("clock", {"advanceSecs": 1})
    seen = seen_runs(platform.runs_of(folder))
    assert (started_twice(seen), len(seen)) == ([], status["runs"])
