"""
What a job costs beyond its run, beside a bare loop and the official client.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measuring import Taken, measure, platform

INPUT = {"duration_secs": 0.05, "items": 10}
AT_ONCE = 100
Peer = Callable[[str, str, Path, int], Taken]


def run(sizes: tuple[int, int], rounds: int, memory_sizes: tuple[int, int]) -> str:
    """
    Measures all peers in turn and returns the figures as Markdown.
    """
    peers: dict[str, Peer] = {
        "orchestrator": orchestrator,
        "bare aiohttp loop": script("bench.bare_loop"),
        "our client alone": script("bench.own_client"),
        "official client": script("bench.official_client"),
    }
    taken: dict[tuple[str, int], list[Taken]] = {}
    with workplace() as folder, platform(folder / "platform") as (url, token):
        for number in range(rounds):
            for size in sizes:
                for name, peer in peers.items():
                    place = folder / f"{name.replace(' ', '-')}-{size}-{number}"
                    taken.setdefault((name, size), []).append(peer(url, token, place, size))
        memory = {
            size: orchestrator(url, token, folder / f"memory-{size}", size).peak_mbytes
            for size in memory_sizes
        }
    slopes = {
        name: statistics.median(
            (large.cpu_secs - small.cpu_secs) / (sizes[1] - sizes[0]) * 1e6
            for small, large in zip(taken[name, sizes[0]], taken[name, sizes[1]], strict=True)
        )
        for name in peers
    }
    return _as_markdown(sizes, rounds, slopes, taken, memory)


def orchestrator(url: str, token: str, folder: Path, jobs: int) -> Taken:
    """
    `orchestrator run` on a spec of that many jobs, with its ledger and all its files.
    """
    folder.mkdir(parents=True)
    spec = folder / "spec.toml"
    fields = ", ".join(f"{name} = {value}" for name, value in INPUT.items())
    spec.write_text(
        f'[batch]\nname = "bench"\nmax_runs = {AT_ONCE}\n'
        f'[[jobs]]\nname = "job-{{{{ n }}}}"\nactor = "orchestrator/simulated"\n'
        "memory_mbytes = 128\n"
        f"input = {{ {fields} }}\nmatrix = {{ n = {{ range = [1, {jobs}] }} }}\n"
    )
    return measure(
        [sys.executable, "-m", "orchestrator", "run", str(spec), "--output", str(folder / "out")],
        {"APIFY_TOKEN": token, "APIFY_API_BASE_URL": url},
    )


def script(module: str) -> Peer:
    """
    A peer that is a script of this folder.
    """

    def peer(url: str, token: str, folder: Path, jobs: int) -> Taken:
        return measure(
            [sys.executable, "-m", module, url, token, str(folder), "--jobs", str(jobs),
             "--at-once", str(AT_ONCE), "--input", json.dumps(INPUT)]
        )  # fmt: skip

    return peer


@contextmanager
def workplace() -> Iterator[Path]:
    """
    A folder on a memory file system where there is one; nothing in it is deleted before the end.
    """
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


def _as_markdown(
    sizes: tuple[int, int],
    rounds: int,
    slopes: dict[str, float],
    taken: dict[tuple[str, int], list[Taken]],
    memory: dict[int, float],
) -> str:
    bare, official = slopes["bare aiohttp loop"], slopes["official client"]
    lines = [
        (
            f"Simulated jobs of {INPUT['duration_secs']} s with {INPUT['items']} items, {AT_ONCE} "
            f"at once; CPU per job is the slope from {sizes[0]:,} to {sizes[1]:,} jobs, the median "
            f"of {rounds} rounds."
        ),
        "",
        "| | CPU a job, µs | of the bare loop's | of the official client's | wall, s | peak, MB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, slope in slopes.items():
        large = taken[name, sizes[1]]
        wall = statistics.median(each.wall_secs for each in large)
        peak = statistics.median(each.peak_mbytes for each in large)
        shares = f"{slope / bare:.2f} | {slope / official:.2f}"
        lines.append(f"| {name} | {slope:.0f} | {shares} | {wall:.1f} | {peak:.0f} |")
    (small, least), (large_size, most) = memory.items()
    lines += [
        "",
        (
            f"Peak memory of the orchestrator: {least:.0f} MB for {small:,} jobs, {most:.0f} MB "
            f"for {large_size:,}: {most / least:.2f} times as much."
        ),
    ]
    return "\n".join(lines)
