"""The peers: each runs the same simulated jobs in its own process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.measuring import Place, Taken, measure

INPUT = {"duration_secs": 0.05, "items": 10}
AT_ONCE = 100
OURS, BARE, OFFICIAL = "orchestrator", "bare aiohttp loop", "official client"

Peer = Callable[[Place, Path, int], Taken]


def orchestrator(
    place: Place,
    folder: Path,
    jobs: int,
    module: str = "orchestrator",
    *,
    settle_secs: float = 0.0,
    at_once: int = AT_ONCE,
    log_level: str = "info",
    python: str = sys.executable,
    batch: str = "",
    words: Sequence[str] = (),
    resident: list[float] | None = None,
) -> Taken:
    """
    `orchestrator run` with a spec of that many jobs, with its ledger and all its files.

    Args:
        settle_secs: how long it waits after a run's end until its items are counted.
        at_once: the most runs at the same time.
        python: the interpreter.
        batch: more lines of the spec's [batch].
        words: more of the command.
        resident: see `measure`.
    """
    folder.mkdir(parents=True)
    spec = folder / "spec.toml"
    fields = ", ".join(f"{name} = {value}" for name, value in INPUT.items())
    each = jobs // len(place.tasks)
    # In turn, as the other peers do it: the tasks are the inner parameter.
    spec.write_text(
        f'[batch]\nname = "bench"\nmax_runs = {at_once}\n{batch}'
        f'[[jobs]]\nname = "job-{{{{ n }}}}-{{{{ task }}}}"\ntask = "{{{{ task }}}}"\n'
        f"input = {{ {fields} }}\n"
        f"matrix = {{ n = {{ range = [1, {each}] }}, task = {json.dumps(place.tasks)} }}\n"
    )
    return measure(
        _module(
            module,
            *("run", spec, "--output", folder / "out", "--log-level", log_level, *words),
            python=python,
        ),
        {
            "APIFY_TOKEN": place.token,
            "APIFY_API_BASE_URL": place.url,
            "ORCHESTRATOR_COUNTS_SETTLE_SECS": str(settle_secs),
        },
        resident=resident,
    )


def script(module: str, *options: str) -> Peer:
    """A peer that is a script of this folder, with options of its own."""

    def peer(place: Place, folder: Path, jobs: int) -> Taken:
        given = json.dumps(INPUT)
        words = ("--jobs", jobs, "--at-once", AT_ONCE, "--input", given, "--tasks", *place.tasks)
        words = (*words, *options)
        return measure(_module(module, place.url, place.token, folder, *words))

    return peer


PEERS: dict[str, Peer] = {
    OURS: orchestrator,
    BARE: script("bench.bare_loop"),
    "our client alone": script("bench.own_client"),
    OFFICIAL: script("bench.official_client"),
    "official client, one page": script("bench.official_client", "--one-page"),
}


def _module(name: str, *words: object, python: str = sys.executable) -> Sequence[str]:
    return [python, "-m", name, *map(str, words)]
