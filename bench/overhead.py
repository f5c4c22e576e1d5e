"""The cost of a job beyond its run, beside a bare loop and the official client."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bench.measuring import TASKS, Taken, platform, workplace
from bench.peers import AT_ONCE, BARE, INPUT, OFFICIAL, PEERS

LABELS = ("of the bare loop's", "of the official client's")


@dataclass(frozen=True, slots=True)
class Measured:
    """
    What the peers took, by name, number of jobs and round.

    Attributes:
        sizes: two numbers of jobs; what a start costs drops out of their difference.
    """

    sizes: tuple[int, int]
    taken: Mapping[tuple[str, int], Sequence[Taken]]

    def micros(self, name: str) -> float:
        """The CPU time of a job: the median of all rounds."""
        return statistics.median(self._slopes(name))

    def share(self, name: str, other: str) -> float:
        """The CPU time of a job by that of another peer in the same round: the median."""
        pairs = zip(self._slopes(name), self._slopes(other), strict=True)
        return statistics.median(one / two for one, two in pairs)

    def _slopes(self, name: str) -> list[float]:
        small, large = self.sizes
        pairs = zip(self.taken[name, small], self.taken[name, large], strict=True)
        return [(more.cpu_secs - less.cpu_secs) / (large - small) * 1e6 for less, more in pairs]


def measure(sizes: Sequence[int], rounds: int, names: Collection[str] = tuple(PEERS)) -> Measured:
    """
    Measures peers in turn.

    Args:
        sizes: see `Measured`.
        rounds: how often; each begins with another peer.
    """
    small, large = sizes
    taken: dict[tuple[str, int], list[Taken]] = {}
    with workplace() as folder, platform(folder / "platform") as place:
        for number in range(rounds):
            for size in sizes:
                for name in _turned(list(names), number):
                    results = folder / f"{name.replace(' ', '-')}-{size}-{number}"
                    took = PEERS[name](place, results, size)
                    taken.setdefault((name, size), []).append(took)
    return Measured((small, large), taken)


def run(sizes: Sequence[int], rounds: int) -> str:
    """Measures all peers in turn and returns the figures as Markdown."""
    measured = measure(sizes, rounds)
    small, large = measured.sizes
    lines = [
        (
            f"Simulated jobs of {INPUT['duration_secs']} s with {INPUT['items']} items, {AT_ONCE} "
            f"at once, spread over {TASKS} tasks; CPU per job is the slope from {small:,} to "
            f"{large:,} jobs, the median of {rounds} rounds; a share is the median of those of "
            f"each round; time and memory are those of {large:,} jobs."
        ),
        "",
        f"| | CPU a job, µs | {LABELS[0]} | {LABELS[1]} | wall, s | peak, MB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in PEERS:
        wall = statistics.median(each.wall_secs for each in measured.taken[name, large])
        peak = statistics.median(each.peak_mbytes for each in measured.taken[name, large])
        shares = " | ".join(f"{measured.share(name, peer):.2f}" for peer in (BARE, OFFICIAL))
        lines.append(
            f"| {name} | {measured.micros(name):.0f} | {shares} | {wall:.1f} | {peak:.0f} |"
        )
    return "\n".join(lines)


def _turned(names: list[str], by: int) -> list[str]:
    first = by % len(names)
    return names[first:] + names[:first]
