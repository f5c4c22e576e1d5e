"""Whether a job costs noticeably more than docs/performance.md says: `make bench-check`."""

from __future__ import annotations

from bench.overhead import LABELS, measure
from bench.peers import BARE, OFFICIAL, OURS

TOLERANCE = 1.15
SIZES, ROUNDS = (500, 1500), 3
PEERS = (BARE, OFFICIAL)


def check(document: str) -> list[str]:
    """
    Measures the short form; returns what exceeds the recorded shares by more than the tolerance.

    Args:
        document: the text of docs/performance.md.
    """
    recorded = recorded_shares(document)
    measured = measure(SIZES, ROUNDS, (OURS, *PEERS))
    shares = {label: measured.share(OURS, peer) for label, peer in zip(LABELS, PEERS, strict=True)}
    for label, share in shares.items():
        print(f"CPU of a job, {label}: {share:.2f}; recorded: {recorded[label]:.2f}")
    return excesses(shares, recorded)


def recorded_shares(document: str) -> dict[str, float]:
    """The shares of the orchestrator in the table of docs/performance.md, by their labels."""
    _, _, table = document.partition("<!-- overhead -->")
    row = next(line for line in table.splitlines() if line.startswith(f"| {OURS} | "))
    _, _, *shares = (cell.strip() for cell in row.strip("| ").split("|"))
    return dict(zip(LABELS, map(float, shares[: len(LABELS)]), strict=True))


def excesses(shares: dict[str, float], recorded: dict[str, float]) -> list[str]:
    """Which shares exceed the recorded ones by more than the tolerance, in words."""
    return [
        f"a job costs {share:.2f} {label}; {recorded[label]:.2f} is recorded, and at most "
        f"{TOLERANCE * recorded[label]:.2f} is allowed"
        for label, share in shares.items()
        if share > TOLERANCE * recorded[label]
    ]
