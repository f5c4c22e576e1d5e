"""Plays a shared batch on several machines, with the faults of a plan, and says what happened."""

from __future__ import annotations

import heapq
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from tests.crash.fault_plan import ITEMS, Fault, Kind, Plan, spec_of
from tests.crash.platform_evidence import (
    Seen,
    lost_jobs,
    most_at_once,
    most_starts_within,
    seen_runs,
    started_twice,
)
from tests.support import clock
from tests.support.command import (
    HURRIED,
    TRIES,
    Command,
    Process,
    ServedPlatform,
    served_platform,
    wait_until,
)
from tests.support.faulty_controller import KILLED, STOPPED
from tests.support.partition import Partition, partition
from tests.support.postgres_server import PostgresServer
from tests.support.receivers import receiver

FAULTY = "tests.support.faulty_controller:main_with_faulty_end"
NAIVE = "tests.support.faulty_controller:main_naive"
NAME = "shared"
OCCURRENCE = "2027-01-15"
LONGEST_SECS = 1800.0
ASK_EVERY_SECS = 0.25
"""How often the platform is asked how many runs it has begun."""


@dataclass(kw_only=True)
class Machine:
    """
    A place for one process of the batch; another one is started there when it dies.

    Attributes:
        url: of the ledger.
        network: to the server, if it can be cut.
        clock: the file that sets its clock, if that is wrong.
        shard: what the next process calls itself.
        restarts_at: before it, no process is started there; on the monotonic clock.
    """

    command: Command
    url: str
    network: Partition | None
    clock: Path | None
    shard: str
    words: tuple[str, ...]
    processes: list[Process] = field(default_factory=list)
    restarts_at: float = 0.0
    is_held: bool = False

    @property
    def process(self) -> Process:
        """The last one."""
        return self.processes[-1]

    @property
    def is_over(self) -> bool:
        """Whether the last process has ended by itself."""
        return self.process.has_ended and self.process.code != -signal.SIGKILL

    def start(self) -> None:
        """Starts a process."""
        words = ("run", f"{NAME}.toml", "--shard", self.shard, "--ledger", self.url, "--json")
        started = self.command.start(*self.words, *words, "--occurrence", OCCURRENCE)
        self.processes.append(started)

    def can_have(self, kind: Kind) -> bool:
        """Whether a fault makes a difference here and now."""
        if self.is_held or self.process.has_ended:
            return False
        if kind in {Kind.CUT, Kind.STALL}:
            return self.network is not None
        return kind is not Kind.JUMP or self.clock is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """
    What a batch with faults came to.

    Attributes:
        faults: how many of each kind happened.
        codes: how all processes ended.
        errors: what they said.
        runs: as the platform saw them.
        summary: what `status` says afterwards, when all costs are final.
        rows: the merged items.
        pings: the signals that the dead-man's switch received.
    """

    plan: Plan
    faults: Counter[str]
    codes: Counter[int]
    errors: str
    runs: list[Seen]
    summary: dict[str, Any]
    rows: list[str]
    pings: list[str]
    secs: float

    def figures(self) -> dict[str, Any]:
        """What the requirements are about."""
        size, runs = self.plan.size, self.runs
        shop = [one for one in runs if size.is_in_shop(one.place)]
        return {
            "seed": self.plan.seed,
            "machines": size.machines,
            "jobs": size.jobs,
            "runs": len(runs),
            "twice": len(started_twice(runs)),
            "lost": len(lost_jobs(runs, size.jobs)),
            "most_runs": most_at_once(runs),
            "most_mbytes": most_at_once(runs, lambda one: size.memory_mbytes(one.place)),
            "most_shop_runs": most_at_once(shop),
            "most_shop_starts": most_starts_within(shop, 60 - size.start_deadline_secs),
            "cost_usd": str(sum((one.cost_usd for one in runs), Decimal(0))),
            "reported_usd": str(self.summary["cost_usd"]),
            "items": len(set(self.rows)),
            "codes": dict(sorted(self.codes.items())),
            "pings": self.pings,
            "secs": round(self.secs),
            "faults": dict(sorted(self.faults.items())),
            "stolen": self.errors.count("attempt stolen"),
            "leases_lost": self.errors.count("lease lost"),
            "ledger_away": self.errors.count("ledger away"),
        }


class FaultyBatch:
    """A batch under way, and the faults that are still to come."""

    def __init__(
        self,
        plan: Plan,
        server: PostgresServer,
        platform: ServedPlatform,
        machines: list[Machine],
        notes: Path,
    ) -> None:
        self._plan = plan
        self._server = server
        self._platform = platform
        self._machines = machines
        self._notes = notes
        self._pending = list(plan.faults)
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._asks_at = 0.0
        self._is_closer_stopped = False
        self.happened: Counter[str] = Counter()

    def play(self) -> None:
        """Starts all processes, and returns when the batch and all faults are over."""
        for machine in self._machines:
            machine.start()
        wait_until(self._step, "the end of the batch", secs=LONGEST_SECS)

    def _step(self) -> bool:
        """Does what is due; returns whether all processes have ended."""
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            heapq.heappop(self._later)[2]()
        if self._pending and now >= self._asks_at:
            self._asks_at = now + ASK_EVERY_SECS
            begun = self._begun()
            for fault in [fault for fault in self._pending if fault.after_runs <= begun]:
                self._begin(fault)
        self._find_stopped_closer()
        for machine in self._machines:
            is_dead = machine.process.has_ended and not machine.is_over
            if is_dead and now >= machine.restarts_at:
                machine.start()
        return all(machine.is_over for machine in self._machines) and not self._later

    def _begun(self) -> int:
        total: int = self._platform.get("/actor-runs?limit=1")["total"]
        return total

    def _begin(self, fault: Fault) -> None:
        """Lets a fault happen at its machine, or at the next one that can have it."""
        order = self._machines[fault.machine :] + self._machines[: fault.machine]
        fit = [machine for machine in order if machine.can_have(fault.kind)]
        if not fit or (fault.kind is Kind.RESTART and self._server.process is None):
            return
        self._pending.remove(fault)
        self.happened[fault.kind] += 1
        self._happen(fault, fit[0])

    def _happen(self, fault: Fault, machine: Machine) -> None:
        process = machine.process
        match fault.kind:
            case Kind.KILL:
                machine.restarts_at = time.monotonic() + fault.secs
                # Another number of shards is harmless, and so are two processes with one number.
                machine.shard = f"{1 + fault.machine // 2}/{1 + self._plan.size.machines // 2}"
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            case Kind.STOP | Kind.NAP:
                self._stop(machine, process, fault.secs)
            case Kind.CUT:
                assert machine.network is not None
                machine.network.cut()
            case Kind.STALL:
                assert machine.network is not None
                machine.is_held = True
                machine.network.stall()
                self._after(fault.secs, partial(self._reconnect, machine))
            case Kind.RESTART:
                self._server.stop(at_once=fault.machine % 2 == 0)
                self._after(fault.secs, self._server.start)
            case Kind.JUMP:
                assert machine.clock is not None
                clock.set_ahead(machine.clock, fault.secs)

    def _stop(self, machine: Machine, process: Process, secs: float) -> None:
        machine.is_held = True
        process.send_signal(signal.SIGSTOP)
        self._after(secs, partial(self._wake, machine, process))

    def _wake(self, machine: Machine, process: Process) -> None:
        process.send_signal(signal.SIGCONT)
        machine.is_held = False

    def _reconnect(self, machine: Machine) -> None:
        assert machine.network is not None
        machine.network.cut()
        machine.is_held = False

    def _find_stopped_closer(self) -> None:
        """Wakes the process that stopped itself while it merged the results, after its lease."""
        note = self._notes / STOPPED
        if self._is_closer_stopped or not note.exists() or not note.read_text():
            return
        self._is_closer_stopped = True
        self.happened["closer stopped"] += 1
        pid = int(note.read_text())
        machine = next(one for one in self._machines if one.process.pid == pid)
        machine.is_held = True
        self._after(self._plan.size.lease_secs * 1.3, partial(self._wake, machine, machine.process))

    def _after(self, secs: float, perform: Callable[[], None]) -> None:
        heapq.heappush(self._later, (time.monotonic() + secs, next(self._numbers), perform))


def play(plan: Plan, folder: Path, server: PostgresServer, *, program: str = FAULTY) -> Played:
    """Plays a batch to its end."""
    faults = folder / "faults.json"
    faults.write_text(json.dumps(plan.platform))
    notes = folder / "notes"
    notes.mkdir()
    words = ("--faults", str(faults))
    began = time.monotonic()
    with served_platform(folder / "platform", *words) as platform, receiver() as web:
        command = _command(plan, folder, program, {**platform.variables(), "PING_URL": web.url})
        with _machines(plan, command, server, (str(notes),)) as machines:
            batch = FaultyBatch(plan, server, platform, machines, notes)
            batch.play()
            ended = [process for machine in machines for process in machine.processes]
        secs = time.monotonic() - began
        state = platform.post_control("clock", {"advanceSecs": 0})
        happened = batch.happened + Counter(state["faultsOfKinds"])
        runs = seen_runs(platform.runs())
        summary = _final_summary(replace(command, program=HURRIED), server)
    happened["closer killed"] += (notes / KILLED).exists()
    errors = "\n".join(process.errors() for process in ended)
    made = next((folder / "output" / NAME).glob("2*"), None)
    assert made is not None, errors
    return Played(
        plan=plan,
        faults=happened,
        codes=Counter(process.code for process in ended),
        errors=errors,
        runs=runs,
        summary=summary,
        rows=(made / "results" / "items.jsonl").read_text().splitlines(),
        pings=web.pings,
        secs=secs,
    )


def _final_summary(command: Command, server: PostgresServer) -> dict[str, Any]:
    """What `status` says when all costs are final; it asks once, which the platform may refuse."""
    for _ in range(TRIES):
        done = command.run("status", NAME, "--json", "--ledger", server.url)
        if not done.json["cost_is_provisional"]:
            break
    summary: dict[str, Any] = done.json
    return summary


def _command(plan: Plan, folder: Path, program: str, variables: dict[str, str]) -> Command:
    size = plan.size
    quick = {
        "ORCHESTRATOR_START_DEADLINE_SECS": str(size.start_deadline_secs),
        "ORCHESTRATOR_SETTLE_SECS": str(size.settle_secs),
        "ORCHESTRATOR_COSTS_SETTLE_SECS": "1",
    }
    command = Command(folder=folder, variables={**variables, **quick}, program=program)
    command.write(f"{NAME}.toml", spec_of(size, NAME))
    return command


@contextmanager
def _machines(
    plan: Plan, command: Command, server: PostgresServer, words: tuple[str, ...]
) -> Iterator[list[Machine]]:
    """The machines, which share a folder; at the end, nothing of them is left."""
    machines: list[Machine] = []
    with ExitStack() as stack:
        for number in range(plan.size.machines):
            network = None
            if number in plan.networks:
                network = stack.enter_context(partition(server.port))
            url = server.url if network is None else replace(server, port=network.port).url
            own, clock_file = command, None
            if number in plan.clocks_secs:
                own, clock_file = clock.adjustable(command, command.folder / f"home-{number}")
                clock.set_ahead(clock_file, plan.clocks_secs[number])
            machines.append(
                Machine(
                    command=own,
                    url=url,
                    network=network,
                    clock=clock_file,
                    shard=f"{number + 1}/{plan.size.machines}",
                    words=words,
                )
            )
        try:
            yield machines
        finally:
            for process in (one for machine in machines for one in machine.processes):
                process.kill()


def check(played: Played) -> None:
    """Fails with the figures unless nothing is twice or lost, and all limits were kept."""
    size, figures = played.plan.size, played.figures()
    shown = f"{json.dumps(figures)}\n{played.errors[-6000:]}"
    assert figures["twice"] == 0, f"{started_twice(played.runs)}\n{shown}"
    assert figures["lost"] == 0, f"{lost_jobs(played.runs, size.jobs)}\n{shown}"
    assert figures["runs"] == size.runs, shown
    assert figures["most_runs"] <= size.max_runs, shown
    assert figures["most_mbytes"] <= size.max_memory_mbytes, shown
    assert figures["most_shop_runs"] <= 3, shown
    assert figures["most_shop_starts"] <= size.starts_per_minute, shown
    usd = Decimal(size.runs) / 100
    assert (Decimal(figures["cost_usd"]), Decimal(figures["reported_usd"])) == (usd, usd), shown
    assert played.codes.keys() <= {0, -signal.SIGKILL}, shown
    assert len(played.rows) == figures["items"] == size.jobs * ITEMS, shown
    assert (played.pings[0], played.pings[-1]) == ("start", ""), shown
    assert played.pings.count("") == 1, shown
    assert "psycopg" not in played.errors, shown
    planned = Counter(fault.kind for fault in played.plan.faults)
    assert {kind: played.faults[kind] for kind in planned} == planned, shown
