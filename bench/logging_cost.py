"""The cost of one event of the log, written and filtered out."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from bench.measuring import workplace
from orchestrator.event_log import LOG, bound, configure_logs
from orchestrator.safe_text import SECRETS

EVENTS = 20_000
SECRETS_KNOWN = ("apify_api_0123456789abcdefghij", "another-secret-of-the-input")


def run(rounds: int) -> str:
    """Logs events and returns the figures as Markdown."""
    written: list[float] = []
    filtered: list[float] = []
    for secret in SECRETS_KNOWN:
        SECRETS.add(secret)
    with workplace() as folder, bound(batch_id="20261126T000000Z-1a2b3c4"):
        sink = configure_logs(level="info", as_json=False)
        sink.open_file(folder / "log.jsonl")
        with bound(job="shop-17", attempt=1, run="Ab1cD2eF3gH4iJ5kL"):
            for _ in range(rounds):
                written.append(_micros(lambda: LOG.info("job_settled", status="ok", items=17)))
                filtered.append(_micros(lambda: LOG.debug("run_seen", status="RUNNING")))
        sink.close_file()
    return "\n".join(
        [
            f"{EVENTS:,} events, four facts of their context, two secrets; median of {rounds}.",
            "",
            "| | processor time, µs |",
            "| --- | ---: |",
            f"| an event that is written | {statistics.median(written):.1f} |",
            f"| one below the log level | {statistics.median(filtered):.1f} |",
        ]
    )


def _micros(log: Callable[[], None]) -> float:
    began = time.process_time()
    for _ in range(EVENTS):
        log()
    return (time.process_time() - began) / EVENTS * 1e6
