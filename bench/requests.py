"""How many requests a job takes, as the platform counts them."""

from __future__ import annotations

from collections import Counter

from bench.measuring import platform, workplace
from bench.peers import PEERS

SHOWN = 4


def run(jobs: int) -> str:
    """Runs that many jobs by each peer and returns the counts as Markdown."""
    lines = ["| | requests a job | the most frequent |", "| --- | ---: | --- |"]
    for name, peer in PEERS.items():
        counts: Counter[str] = Counter()
        with workplace() as folder, platform(folder / "platform", counts) as place:
            peer(place, folder / "results", jobs)
        shown = ", ".join(f"{kind} {count / jobs:.2f}" for kind, count in counts.most_common(SHOWN))
        lines.append(f"| {name} | {counts.total() / jobs:.2f} | {shown} |")
    return "\n".join(lines)
