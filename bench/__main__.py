"""`python -m bench`: measures, prints the figures and writes them into docs/performance.md."""

from __future__ import annotations

import argparse
import os
import platform
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from bench import (
    collecting,
    curve,
    downloads,
    durability,
    emulator_load,
    exporting,
    history,
    item_rows,
    logging_cost,
    makespan,
    many_runs,
    memory,
    overhead,
    planning,
    polling,
    pythons,
    regression,
    requests,
    resume,
    shards,
    startup,
)

DOCUMENT = Path(__file__).parent.parent / "docs" / "performance.md"

BENCHMARKS: dict[str, Callable[[argparse.Namespace], str]] = {
    "overhead": lambda options: overhead.run(options.sizes, options.rounds),
    "curve": lambda options: curve.run(options.rounds),
    "memory": lambda options: memory.run(options.memory_sizes),
    "requests": lambda options: requests.run(options.request_jobs),
    "polling": lambda _options: polling.run(),
    "startup": lambda _options: startup.run(15),
    "logging": lambda _options: logging_cost.run(9),
    "downloads": lambda options: downloads.run(options.rounds),
    "collect": lambda options: collecting.run(
        options.collect_sizes[0], options.collect_sizes[1], options.rounds
    ),
    "export": lambda options: exporting.run(*options.export_sizes),
    "planning": lambda options: planning.run(100_000, options.rounds),
    "item-rows": lambda options: item_rows.run(100_000, 100, options.rounds),
    "makespan": lambda _options: makespan.run(50),
    "durability": lambda options: durability.run((500, 2500), options.rounds),
    "emulator": lambda _options: emulator_load.run(15),
    "resume": lambda options: resume.run(100_000, 1_000, options.rounds),
    "million": lambda _options: resume.run(1_000_000, 10_000, 1),
    "many-runs": lambda options: many_runs.run(*options.many_runs),
    "pythons": lambda options: pythons.run(options.pythons, (500, 2500), options.rounds),
    "history": lambda options: history.run(400, 1_000, options.rounds),
    "shards": lambda _options: shards.run(3, 1_000_000),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("which", nargs="*", help=f"{', '.join(BENCHMARKS)} (all of them)")
    parser.add_argument(
        "--rounds", type=int, default=5, metavar="N", help="of those that take turns (5)"
    )
    parser.add_argument(
        "--sizes", type=int, nargs=2, default=[2000, 6000], metavar="N",
        help="jobs, of overhead (2000 6000)",
    )  # fmt: skip
    parser.add_argument(
        "--memory-sizes", type=int, nargs="+", default=[1000, 10000, 100000], metavar="N",
        help="jobs, of memory (1000 10000 100000)",
    )  # fmt: skip
    parser.add_argument(
        "--request-jobs", type=int, default=500, metavar="N", help="jobs, of requests (500)"
    )
    parser.add_argument(
        "--collect-sizes", type=int, nargs=2, default=[10_000, 1_000_000], metavar="N",
        help="datasets and items, of collect (10000 1000000)",
    )  # fmt: skip
    parser.add_argument(
        "--export-sizes", type=int, nargs=2, default=[100, 10_000], metavar="N",
        help="batches and items of each, of export (100 10000)",
    )  # fmt: skip
    parser.add_argument(
        "--many-runs", type=int, nargs=2, default=[1_000, 600], metavar="N",
        help="runs at once and seconds of each, of many-runs (1000 600)",
    )  # fmt: skip
    parser.add_argument(
        "--pythons", nargs="+", default=[sys.executable], metavar="PATH",
        help="interpreters with the package installed, of pythons (this one)",
    )  # fmt: skip
    parser.add_argument(
        "--check", action="store_true",
        help="measure the short form of overhead; fail if a job costs more than is recorded",
    )  # fmt: skip
    parser.add_argument("--no-write", action="store_true", help="leave docs/performance.md alone")
    options = parser.parse_args()
    if unknown := [name for name in options.which if name not in BENCHMARKS]:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    # As on Ctrl-C, ends what was started and removes what was written.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.check:
        sys.exit("\n".join(regression.check(DOCUMENT.read_text())) or 0)
    for name in options.which or BENCHMARKS:
        figures = f"{BENCHMARKS[name](options)}\n\nOn {machine()}."
        print(f"{name}\n\n{figures}\n", flush=True)
        if not options.no_write:
            write(name, figures)


def machine() -> str:
    cores = os.cpu_count() or 1
    return f"{cores} cores, {platform.system()}, Python {platform.python_version()}"


def write(name: str, figures: str, document: Path = DOCUMENT) -> None:
    text = document.read_text()
    pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    written, found = re.subn(
        pattern, lambda match: f"{match[1]}{figures}\n{match[2]}", text, flags=re.DOTALL
    )
    assert found == 1, f"{document.name} has no place for {name}"
    document.write_text(written)


if __name__ == "__main__":
    main()
