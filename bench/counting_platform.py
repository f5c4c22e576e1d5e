"""
Counts requests: `python -m bench.counting_platform FOLDER MAX_RUNS`.

It is the emulator, which reports the number of requests of each kind, and the first time of each.
Its first line on stdout is that of `orchestrator platform serve`. Its last line has `counts` and
`first_at` (in seconds on the system's monotonic clock) for each kind of request.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import anyio

from apify_emulator import Answered, EmulatorOptions, serve_emulator


async def main() -> None:
    counts: Counter[str] = Counter()
    first_at: dict[str, float] = {}

    def count(answered: Answered) -> None:
        kind = _kind(answered)
        counts[kind] += 1
        first_at.setdefault(kind, time.monotonic())

    data, runs = sys.argv[1], int(sys.argv[2])
    options = EmulatorOptions(data_dir=Path(data), max_runs=runs, max_memory_mbytes=runs * 1024)
    with anyio.open_signal_receiver(signal.SIGTERM) as received:
        async with serve_emulator(options, on_answer=count) as platform:
            place = {"url": platform.url, "token": platform.token.get_secret_value()}
            print(json.dumps(place), flush=True)
            async for _ in received:
                break
    print(json.dumps({"counts": counts, "first_at": first_at}), flush=True)


def _kind(answered: Answered) -> str:
    """The request without the parts that differ from run to run: `GET datasets/…/items`."""
    parts = answered.path.removeprefix("/v2/").replace("acts/", "actors/").split("/")
    if len(parts) > 1 and parts[0] != "users":
        parts[1] = "…"
    refused = f" ({answered.status})" if answered.status >= 400 else ""
    return f"{answered.method} {'/'.join(parts)}{refused}"


if __name__ == "__main__":
    anyio.run(main)
