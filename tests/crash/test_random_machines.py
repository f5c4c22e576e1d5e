"""Random features and commands on two machines with one server of ledgers, which restarts, too."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.ledger import LedgerReader
from tests.crash.platform_evidence import most_at_once, seen_runs, started_twice
from tests.crash.random_features import Features, draw
from tests.crash.test_kills import FAULTS, QUICK
from tests.crash.test_random_commands import CODES, LOOKS, MOST_CALLS, STEPS, Spec, drawn
from tests.support.command import HURRIED, Command, Done, Process, ServedPlatform, served_platform
from tests.support.postgres_server import PostgresServer

pytestmark = pytest.mark.skipif(
    "ORCHESTRATOR_SOAK" not in os.environ, reason="ORCHESTRATOR_SOAK is not set"
)

SEEDS = 20
STOPS = 4
DAYS = ("2027-01-15", "2027-01-16")
NOT_MERGED = "results not merged"
"""What a process says that has ended a batch, and that lacks the items of the other machine."""
AWAY = 5
STOPPED = {130, 143, -signal.SIGKILL}

# The files of the other machine may be missing.
CODES_OF_ONE = {**CODES, "verify": {0, 1}, "export": {0, 1}, "list": {0}, "prune": {0}}
LOOKS_OF_ONE = [*LOOKS, ["list"], ["prune", "shop", "--keep-last", "1"], ["collect", "shop"]]


@dataclass(frozen=True, kw_only=True)
class Machines:
    """Two machines, each with a folder of its own, and the server that both use."""

    both: Sequence[Command]
    platform: ServedPlatform
    server: PostgresServer
    chance: random.Random
    said: list[str] = field(default_factory=list)

    def any(self) -> Command:
        """One of them."""
        return self.chance.choice(self.both)

    def run(self, machine: Command, *words: str) -> Done:
        """Runs a command to its end."""
        return self.noted(words, machine.start(*words))

    def noted(self, words: Sequence[str], process: Process) -> Done:
        """How a command ended; what it said is shown if the test fails."""
        out, err = process.communicate()
        self.said.append(f"--- {' '.join(words)}: {process.code}\n{err}")
        assert "Traceback" not in err
        return Done(code=process.code, out=out, err=err)

    def disturb(self, process: Process) -> None:
        """Kills a command, interrupts it, restarts the server, or nothing, at a random moment."""
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=self.chance.uniform(0.02, 1.4))
        kind = self.chance.random()
        if kind < 0.25:
            self.server.stop(at_once=self.chance.random() < 0.5)
            time.sleep(self.chance.uniform(0, 0.5))
            self.server.start()
        elif kind < 0.6:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        elif kind < 0.9:
            process.send_signal(self.chance.choice([signal.SIGINT, signal.SIGTERM]))


@contextmanager
def two_machines(tmp_path: Path, server: PostgresServer, seed: str) -> Iterator[Machines]:
    """Machines and a platform, which has faults for every other seed; shows what was said."""
    chance = random.Random(seed)  # noqa: S311 - to be repeatable
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps({**FAULTS, "seed": chance.randrange(1000)}))
    words = ("--faults", str(faults)) if chance.random() < 0.5 else ()
    with served_platform(tmp_path / "platform", *words) as platform:
        variables = {
            **platform.variables(),
            **QUICK,
            "ORCHESTRATOR_BREAKER_PROBE_SECS": "0.3",
            "ORCHESTRATOR_LEDGER": server.url,
        }
        one = Command(folder=tmp_path, variables=variables, program=HURRIED)
        both = [
            replace(one, variables={**variables, "ORCHESTRATOR_OUTPUT": name})
            for name in ("one", "two")
        ]
        machines = Machines(both=both, platform=platform, server=server, chance=chance)
        try:
            yield machines
        except AssertionError as error:
            error.add_note("\n".join(machines.said)[-20_000:])
            raise


def moved(machines: Machines, _day: str) -> None:
    """One process at a time, on any machine."""
    before = len(_listed(machines))
    for stop in range(STOPS + 1):
        known = _listed(machines)
        is_begun = len(known) > before
        if is_begun and known[0]["state"] == "ended":
            return
        words = ("resume", "shops") if is_begun else ("run", "shops.toml")
        process = machines.any().start(*words)
        if stop < STOPS:
            machines.disturb(process)
        done = machines.noted(words, process)
        merges = {1} if NOT_MERGED in done.err else set()
        assert done.code in ({0, AWAY, *STOPPED} if stop < STOPS else {0}) | merges


def _listed(machines: Machines) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = machines.run(machines.any(), "list", "--json").json["batches"]
    return listed


def shared(machines: Machines, day: str) -> None:
    """Several processes, mostly on both machines; one that is stopped is started on any."""
    chance, count = machines.chance, machines.chance.randint(2, 3)

    def words(number: int) -> tuple[str, ...]:
        return "run", "shops.toml", "--occurrence", day, "--shard", f"{number + 1}/{count}"

    live = [machines.both[number % 2].start(*words(number)) for number in range(count)]
    for _ in range(chance.choice([0, STOPS])):
        place = chance.randrange(count)
        machines.disturb(live[place])
        if live[place].has_ended:
            done = machines.noted(words(place), live[place])
            if done.code in STOPPED:
                live[place] = machines.any().start(*words(place))
    while True:
        ends = [machines.noted(words(place), process) for place, process in enumerate(live)]
        merges = {1} if any(NOT_MERGED in done.err for done in ends) else set()
        codes = {done.code for done in ends}
        assert codes <= {0, *STOPPED} | merges
        if not codes & STOPPED:
            return
        live = [machines.any().start(*words(0))]


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("way", [moved, shared], ids=lambda way: way.__name__)
def test_batch_on_two_machines_is_whole(
    tmp_path: Path, server: PostgresServer, way: Callable[[Machines, str], None], seed: int
) -> None:
    """Every job has run once, and each machine gets all items, in a first batch and a later one."""
    with two_machines(tmp_path, server, f"{way.__name__} {seed}") as machines:
        features = draw(machines.chance)
        machines.said.append(str(features))
        machines.both[0].write("shops.toml", features.spec())
        for runs, day in zip((features.runs, features.later_runs), DAYS, strict=True):
            way(machines, day)
            for machine in machines.both:
                _check_batch(machines, machine, features)
            seen = _seen(machines, _latest(machine, "shops"))
            assert (len(seen), started_twice(seen)) == (runs, [])
            assert most_at_once(seen) <= features.max_runs


def _check_batch(machines: Machines, machine: Command, features: Features) -> None:
    collected = machines.run(machine, "collect", "shops", "--json")
    assert (collected.code, collected.json["items"]) == (0, features.rows)
    assert machines.run(machine, "verify", "shops").code == 0
    again = machines.run(machine, "collect", "shops", "--json")
    assert (again.code, again.json["fetched"]) == (0, [])
    status = machines.run(machine, "status", "shops", "--json").json
    counts = {name: jobs for name, jobs in status["jobs"].items() if jobs}
    assert (status["state"], status["exit_code"]) == ("ended", 0)
    assert counts == {"SUCCEEDED": features.jobs}
    _check_table(machine, "shops", features.form, features.rows)


def _check_table(machine: Command, name: str, form: str, rows: int) -> None:
    if form:
        table = _latest(machine, name) / "results" / f"items.{form}"
        assert len(table.read_text().splitlines()) == rows + (form == "csv")


def _latest(machine: Command, name: str) -> Path:
    link = machine.folder / machine.variables["ORCHESTRATOR_OUTPUT"] / name / "latest"
    return link.with_name(str(link.readlink()))


def _seen(machines: Machines, folder: Path) -> Sequence[Any]:
    # The lists of a faulty platform show the last runs a moment later.
    machines.platform.post_control("clock", {"advanceSecs": 1})
    return seen_runs(machines.platform.runs_of(folder))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_commands_on_two_machines(tmp_path: Path, server: PostgresServer, seed: int) -> None:
    """Each code has a reason, both machines say the same, no attempt runs twice, 0 means whole."""
    with two_machines(tmp_path, server, f"commands {seed}") as machines:
        spec = machines.both[0].write("shop.toml", drawn(machines.chance).text())
        assert machines.run(machines.any(), "run", "shop.toml").code in {0, 1, 3}
        for _ in range(STEPS):
            _step(machines, spec)
            _check_reports(machines)
        last = replace(drawn(machines.chance), stops=0)
        spec.write_text(last.text())
        machine = machines.any()
        # A changed spec is compared with the items that have become jobs.
        assert machines.run(machine, "collect", "shop").code in CODES_OF_ONE["collect"]
        is_whole = machines.run(machine, "resume", "shop", "--accept-changes").code == 0
        codes = (machines.run(machines.any(), "retry", "shop").code for _ in range(MOST_CALLS))
        assert is_whole or 0 in codes
        _check_end(machines, last)


def _step(machines: Machines, spec: Path) -> None:
    """One command on any machine, which may be disturbed."""
    chance, machine = machines.chance, machines.any()
    words = ["resume", "shop"]
    kind = chance.random()
    if kind < 0.3:
        spec.write_text(drawn(chance).text())
        words.append("--accept-changes")
    elif kind < 0.5:
        words = ["retry", "shop"]
    elif kind < 0.7:
        words = chance.choice(LOOKS_OF_ONE)
    process, codes = machine.start(*words), CODES_OF_ONE[words[0]]
    if chance.random() < 0.5:
        machines.disturb(process)
        codes = {AWAY, *STOPPED, *codes}
    done = machines.noted(words, process)
    assert done.code in codes
    # `verify` says on stdout what is wrong.
    assert done.code in {0, *STOPPED} or done.err or done.out


def _check_reports(machines: Machines) -> dict[str, Any]:
    """An ended batch has no job left; both machines say so."""
    one, other = (
        machines.run(machine, "status", "shop", "--json").json for machine in machines.both
    )
    for name in ("id", "state", "exit_code", "jobs", "runs", "items"):
        assert one[name] == other[name], name
    statuses = _statuses(machines)
    assert one["jobs_total"] == sum(one["jobs"].values()) == len(statuses)
    if one["state"] == "ended":
        assert "WAITING" not in statuses.values()
        assert (set(statuses.values()) == {"SUCCEEDED"}) == (one["exit_code"] == 0)
    return dict(one)


def _statuses(machines: Machines) -> dict[str, str]:
    with LedgerReader(_latest(machines.both[0], "shop") / "ledger.sqlite") as reader:
        return {key: status.value for _, key, status in reader.statuses()}


def _check_end(machines: Machines, spec: Spec) -> None:
    for machine in machines.both:
        assert machines.run(machine, "collect", "shop").code == 0
        assert machines.run(machine, "verify", "shop").code == 0
        status, statuses = _check_reports(machines), _statuses(machines)
        assert (status["state"], status["exit_code"]) == ("ended", 0)
        folder = _latest(machine, "shop")
        assert json.loads((folder / "summary.json").read_text())["jobs"] == status["jobs"]
        lines = [json.loads(line) for line in (folder / "jobs.jsonl").read_text().splitlines()]
        assert {line["key"]: line["status"] for line in lines} == statuses
        pages = {
            f"page-{line['key']}-{index}"
            for line in lines
            if line["key"].startswith("search-")
            for index in range(line["items"])
        }
        assert spec.keys | pages <= set(statuses)
        _check_table(machine, "shop", spec.form, status["items"])
    seen = _seen(machines, folder)
    assert (started_twice(seen), len(seen)) == ([], status["runs"])
