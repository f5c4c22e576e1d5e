"""How soon a large batch that is nearly done resumes, and how large its ledger is."""

from __future__ import annotations

import sqlite3
import statistics
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import anyio

from bench.measuring import Place, measure, place_of, stop_platform, workplace
from orchestrator.app.batch.creation import RunRequest, prepared_batch
from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.publishing import publish
from orchestrator.ledger.known_batches import read_batch
from orchestrator.specfile import load_spec

ITEMS = 10


def run(jobs: int, left: int, rounds: int) -> str:
    """
    Creates a batch with only a few open jobs, resumes it, and returns the figures.

    Args:
        jobs, left: all of them, and those that still wait.
        rounds: how often; the figures are medians.
    """
    firsts, starts, sizes, peaks = [], [], [], []
    for _ in range(rounds):
        with workplace() as folder:
            batch = make_batch(folder, jobs, left)
            sizes.append((batch / LEDGER).stat().st_size / 1e6)
            first, start, peak = _resume(folder, batch)
            firsts.append(first)
            starts.append(start)
            peaks.append(peak)
    return "\n".join(
        [
            (
                f"A batch of {jobs:,} jobs, {jobs - left:,} of them settled; the median of "
                f"{rounds} rounds, from the start of the process `orchestrator resume`."
            ),
            "",
            "| first request, s | first start of a run, s | until the end, peak, MB | ledger, MB |",
            "| ---: | ---: | ---: | ---: |",
            (
                f"| {statistics.median(firsts):.2f} | {statistics.median(starts):.2f} "
                f"| {max(peaks):.0f} | {statistics.median(sizes):.0f} |"
            ),
        ]
    )


def make_batch(folder: Path, jobs: int, left: int) -> Path:
    """A real batch, whose attempts are then written as if they had happened."""
    spec = folder / "spec.toml"
    spec.write_text(
        '[batch]\nname = "bench"\nmax_runs = 100\n[[jobs]]\nname = "job-{{ n }}"\n'
        'actor = "orchestrator/simulated"\nmemory_mbytes = 128\n'
        f"input = {{ items = {ITEMS}, duration_secs = 0, item = {{ page = '{{{{ n }}}}' }} }}\n"
        f"matrix = {{ n = {{ range = [1, {jobs}] }} }}\n"
    )
    request = RunRequest(
        loaded=load_spec(spec),
        output=folder / "output",
        occurrence=datetime.now(UTC),
        platform="http://127.0.0.1",
    )
    with prepared_batch(request) as prepared:
        read = read_batch(prepared / LEDGER)
        batch = anyio.run(publish, prepared, read, lambda _: None)
    with closing(sqlite3.connect(batch / LEDGER)) as db, db:
        db.execute("UPDATE jobs SET status = 'SUCCEEDED', attempts = 1 WHERE seq >= ?", (left,))
        db.execute("UPDATE batch SET state = 'stopped'")
        db.execute(
            """
            INSERT INTO attempts (job_seq, number, state, owner, intent_at, run_id, dataset_id,
                store_id, run_status, exit_code, started_at, finished_at, build_number, cost_usd,
                items, size_bytes, sha256)
            SELECT seq, 1, 'settled', lower(hex(randomblob(8))), '2026-11-25T01:02:03.456789+00:00',
                hex(randomblob(8)) || 'a', hex(randomblob(8)) || 'b', hex(randomblob(8)) || 'c',
                'SUCCEEDED', 0, '2026-11-25T01:02:03.456000+00:00',
                '2026-11-25T01:02:13.456000+00:00', '0.0.1', '0.00012345', 10, 4321,
                lower(hex(randomblob(32)))
            FROM jobs WHERE seq >= ?
            """,
            (left,),
        )
    return batch


def _resume(folder: Path, batch: Path) -> tuple[float, float, float]:
    """Seconds to the first answered request and to the first answered start; the peak in MB."""
    command = [sys.executable, "-m", "bench.counting_platform", str(folder / "platform"), "256"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        place: Place = place_of(server)
        began = time.monotonic()
        taken = measure(
            [sys.executable, "-m", "orchestrator", "resume", str(batch)],
            {"APIFY_TOKEN": place.token, "APIFY_API_BASE_URL": place.url},
        )
        reported = stop_platform(server)
    first_at: dict[str, float] = reported["first_at"]
    start = min(at for kind, at in first_at.items() if kind.startswith("POST"))
    return min(first_at.values()) - began, start - began, taken.peak_mbytes
