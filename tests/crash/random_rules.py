"""Jobs with random rules, and the runs that the rules must lead to, by a model of their own."""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass
from typing import Any

COST_USD = 0.01
MEMORY_MBYTES = 256
TIMEOUT_SECS = 60


@dataclass(kw_only=True)
class Life:
    """
    What the platform must show of a run.

    Attributes:
        failures: how many runs of its input had begun when it began, itself included.
    """

    memory_mbytes: int
    timeout_secs: int
    failures: int
    resurrections: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RuledJob:
    """
    A job whose first attempts fail.

    Attributes:
        fails: how many attempts with one input fail.
        outcome: the status with which they fail.
        needs_more: whether the items of a success are too few, so that it is rejected.
        rules: as in the spec.
    """

    key: str
    fails: int
    outcome: str
    needs_more: bool
    retries: int
    rules: tuple[dict[str, Any], ...]

    def spec(self) -> str:
        """Its table, as TOML; the message keeps the failures of jobs apart."""
        rules = "".join(
            "[[jobs.rules]]\n" + "".join(f"{name} = {_toml(rule[name])}\n" for name in rule)
            for rule in self.rules
        )
        return (
            f'[[jobs]]\nname = "{self.key}"\nretries = {self.retries}\n'
            f"expect = {{ min_items = {3 if self.needs_more else 2} }}\n"
            f'input = {{ items = 2, duration_secs = 0.05, cost_usd = {COST_USD}, job = "{self.key}"'
            f', fail_attempts = {self.fails}, fail_outcome = "{self.outcome}"'
            f', status_message = "{self.key}" }}\n{rules}'
        )

    def lives(self) -> tuple[list[Life], str]:
        """The runs that it must have, in their order, and its status at the end."""
        runs: list[Life] = []
        starts: dict[int, int] = {}
        memory, timeout, change, attempt, resurrects = MEMORY_MBYTES, TIMEOUT_SECS, 0, 0, False
        while True:
            attempt += 1
            if resurrects:
                run = runs[-1]
                run.failures += 1
                run.resurrections += 1
                run.memory_mbytes, run.timeout_secs = memory, timeout
            else:
                # The emulator counts the starts of each input.
                starts[change] = starts.get(change, 0) + 1
                run = Life(memory_mbytes=memory, timeout_secs=timeout, failures=starts[change])
                runs.append(run)
            status = self.outcome if run.failures <= self.fails else "SUCCEEDED"
            if status == "SUCCEEDED":
                if not self.needs_more:
                    return runs, status
                status = "REJECTED"
            fitting = (rule for rule in self.rules if rule.get("status", status) == status)
            rule = next(fitting, {})
            if rule.get("do") == "give_up" or attempt >= rule.get("max", self.retries + 1):
                return runs, status
            grown = 1 << math.ceil(math.log2(memory * rule.get("memory_factor", 1)))
            memory = max(memory, min(grown, rule.get("max_memory_mbytes", 32768)))
            timeout = math.ceil(timeout * rule.get("timeout_factor", 1))
            change = rule.get("input", {}).get("change", change)
            resurrects = rule.get("do") == "resurrect"


def draw(chance: random.Random) -> list[RuledJob]:
    """Some jobs."""
    return [
        RuledJob(
            # Letters, because messages that differ in numbers alone count as one failure.
            key="job-" + "".join(chance.choices("abcdefghijklmnop", k=8)),
            fails=chance.randint(0, 4),
            outcome=chance.choice(["FAILED", "TIMED-OUT"]),
            needs_more=chance.random() < 0.2,
            retries=chance.randint(0, 2),
            rules=tuple(_rule(chance) for _ in range(chance.randint(0, 3))),
        )
        for _ in range(chance.randint(2, 8))
    ]


def spec_of(jobs: list[RuledJob], max_runs: int) -> str:
    """The spec of a batch of these jobs."""
    return (
        f'[batch]\nname = "ruled"\nmax_runs = {max_runs}\n'
        f'[defaults]\nactor = "orchestrator/simulated"\nmemory_mbytes = {MEMORY_MBYTES}\n'
        f"timeout_secs = {TIMEOUT_SECS}\n" + "".join(job.spec() for job in jobs)
    )


def _rule(chance: random.Random) -> dict[str, Any]:
    rule: dict[str, Any] = {"do": chance.choice(["restart", "restart", "resurrect", "give_up"])}
    if chance.random() < 0.6:
        rule["status"] = chance.choice(["FAILED", "TIMED-OUT", "REJECTED"])
    if rule["do"] == "give_up":
        return rule
    rule["backoff_secs"] = 0.05
    more = {
        "max": chance.randint(1, 5),
        "memory_factor": chance.choice([1.5, 2, 4]),
        "timeout_factor": chance.choice([1.5, 2]),
    }
    rule |= {name: value for name, value in more.items() if chance.random() < 0.5}
    if "memory_factor" in rule and chance.random() < 0.4:
        rule["max_memory_mbytes"] = 512
    if rule["do"] == "restart" and chance.random() < 0.3:
        rule["input"] = {"change": chance.randint(1, 3)}
    return rule


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(inner)}" for name, inner in value.items()) + " }"
    return json.dumps(value)
