"""What a ledger at a PostgreSQL server costs, and how several controllers share a batch on it."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.measuring import Place, platform, workplace
from bench.peers import orchestrator
from orchestrator.ledger import create_ledger, location
from tests.support.builders import make_batch, make_job
from tests.support.postgres_server import PostgresServer, running_server

SERVER_OPTIONS = "-c max_connections=100 -c shared_buffers=256MB -c unix_socket_directories="
"""Unlike that of tests, this server flushes each commit."""

COST_SIZES = (1000, 3000)
CONTROLLERS = 4
IN_FLIGHT = 20
START_SECS = 0.2
CONTROLLER_SIZES = (640, 1920)
"""
Jobs for each controller; whole numbers of `measuring.TASKS`.

So many that all controllers have joined before a tenth of the starts, of which no rate is taken.
"""

CLAIMERS = 8
CLAIMS = 1800
"""For each of them; the first statements of each session, which are planned, are few among them."""

SCHEDULE = 'schedule = "0 0 * * *"\n'
SLOW_STARTS = {
    "rules": [{"method": "POST", "path": "/runs$", "do": "slow-headers", "secs": START_SECS}]
}


COPY_JOB = """
INSERT INTO orchestrator.all_jobs (batch, seq, key, definition, demand, priority)
SELECT batch, number, 'job-' || number, definition, demand, priority
FROM orchestrator.all_jobs CROSS JOIN generate_series(1, %s) AS number
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a batch took: processor seconds of its controllers, and starts a second."""

    cpu_secs: float
    rate: float


@dataclass(frozen=True, slots=True)
class Claiming:
    """What claims took: milliseconds of the server each, rows read for each, and sizes in MB."""

    claims: int
    statement_ms: Sequence[float]
    job_ms: float
    rows_read: float
    sizes: Mapping[str, tuple[float, float]]


def run(rounds: int, waiting: int) -> str:
    """
    Measures all and returns the figures as Markdown.

    Args:
        rounds: how often batches are measured, in turn.
        waiting: how many jobs wait while controllers claim some.
    """
    with running_server(SERVER_OPTIONS) as server:
        claiming = _measure_claims(server, waiting)
        costs = [_costs(server, number) for number in range(rounds)]
        shared = [_shared(server) for _ in range(rounds)]
    file, postgres = (statistics.median(cost[at] for cost in costs) for at in (0, 1))
    one, all_of_them = (statistics.median(cpu[at] for cpu, _ in shared) for at in (0, 1))
    alone, together = (statistics.median(rate[at] for _, rate in shared) for at in (0, 1))
    ordered = sorted(claiming.statement_ms)
    middle, high = (ordered[len(ordered) * percent // 100] for percent in (50, 99))
    lines = [
        (
            f"A PostgreSQL server on the same machine, which flushes each commit. CPU a job: of "
            f"the controllers, jobs of 0.05 s, 100 at once, the slope from {COST_SIZES[0]:,} to "
            f"{COST_SIZES[1]:,} jobs. Controllers: starts that take {START_SECS:g} s, {IN_FLIGHT} "
            f"in flight for each, {CONTROLLER_SIZES[0]} and {CONTROLLER_SIZES[1]} jobs for each; "
            f"starts a second between the first and the last tenth. Medians of {rounds} rounds; a "
            f"share is the median of those of each round. Claims: {CLAIMERS} controllers, "
            f"{claiming.claims:,} claims, {waiting:,} waiting jobs, vacuumed; by the server's log."
        ),
        "",
        "| | | goal |",
        "| --- | ---: | ---: |",
        f"| CPU a job with a file, µs | {file:.0f} | |",
        f"| CPU a job with PostgreSQL, µs | {postgres:.0f} | |",
        f"| of that with a file | {_share(costs):.2f} | 1.5 at most |",
        f"| starts a second, 1 controller | {alone:.0f} | |",
        f"| starts a second, {CONTROLLERS} controllers | {together:.0f} | |",
        f"| of those of one | {_share([rate for _, rate in shared]):.2f} | 3.5 at least |",
        f"| CPU a job, 1 controller, µs | {one:.0f} | |",
        f"| CPU a job, {CONTROLLERS} controllers, µs | {all_of_them:.0f} | |",
        f"| of that of one | {_share([cpu for cpu, _ in shared]):.2f} | 1.3 at most |",
        (
            f"| statement of claims, median and 99th percentile, ms | {middle:.2f}, {high:.2f} "
            "| 2 at most |"
        ),
        f"| the same for each job claimed, mean, ms | {claiming.job_ms:.2f} | |",
        f"| rows read for each job claimed | {claiming.rows_read:.2f} | 2 at most |",
    ]
    for table, (data, indexes) in claiming.sizes.items():
        lines.append(f"| table of {table}, and its indexes, MB | {data:.0f}, {indexes:.0f} | |")
    return "\n".join(lines)


def _share(pairs: Sequence[tuple[float, float]]) -> float:
    return statistics.median(second / first for first, second in pairs)


def _costs(server: PostgresServer, number: int) -> tuple[float, float]:
    """CPU a job in microseconds, with a ledger in a file and at the server."""
    taken: dict[tuple[bool, int], float] = {}
    with workplace() as folder, platform(folder / "platform") as place:
        for jobs in COST_SIZES:
            for is_remote in (False, True) if number % 2 else (True, False):
                url = f"{server.url}?schema=cost_{number}_{jobs}"
                words = ("--ledger", url) if is_remote else ()
                results = folder / f"{jobs}-{is_remote}"
                taken[is_remote, jobs] = orchestrator(place, results, jobs, words=words).cpu_secs
    small, large = COST_SIZES
    file, remote = (
        (taken[is_remote, large] - taken[is_remote, small]) / (large - small) * 1e6
        for is_remote in (False, True)
    )
    return file, remote


def _shared(server: PostgresServer) -> tuple[tuple[float, float], tuple[float, float]]:
    """CPU a job in microseconds, and starts a second, of one controller and of several."""
    small, large = CONTROLLER_SIZES
    cpu, rates = [], []
    for controllers in (1, CONTROLLERS):
        with workplace() as folder, _slow_platform(folder) as place:
            less, more = (
                _batch(server, place, folder / f"{jobs}", controllers, jobs * controllers)
                for jobs in CONTROLLER_SIZES
            )
        cpu.append((more.cpu_secs - less.cpu_secs) / ((large - small) * controllers) * 1e6)
        rates.append(more.rate)
    return (cpu[0], cpu[1]), (rates[0], rates[1])


@contextmanager
def _slow_platform(folder: Path) -> Iterator[Place]:
    faults = folder / "faults.json"
    faults.write_text(json.dumps(SLOW_STARTS))
    with platform(folder / "platform", words=("--faults", str(faults))) as place:
        yield place


def _batch(
    server: PostgresServer, place: Place, folder: Path, controllers: int, jobs: int
) -> Batch:
    """Runs a batch with some controllers, each in a folder of its own."""
    schema = f"shards_{controllers}_{jobs}_{place.url.rpartition(':')[2]}"
    url = f"{server.url}?schema={schema}"

    def control(number: int) -> float:
        return orchestrator(
            place,
            folder / str(number),
            jobs,
            at_once=IN_FLIGHT * controllers,
            batch=SCHEDULE,
            words=("--ledger", url, "--shard", f"{number}/{controllers}"),
        ).cpu_secs

    with ThreadPoolExecutor(controllers) as pool:
        cpu_secs = sum(pool.map(control, range(1, controllers + 1)))
    times = sorted(
        datetime.fromisoformat(row[0]).timestamp()
        for row in _rows(server, f"SELECT started_at FROM {schema}.all_attempts")  # noqa: S608
    )
    assert len(times) == jobs, f"{len(times)} starts of {jobs} jobs"
    first, last = jobs // 10, jobs * 9 // 10
    return Batch(cpu_secs, (last - first) / (times[last] - times[first]))


def _measure_claims(server: PostgresServer, waiting: int) -> Claiming:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "ledger.sqlite"
        location.configure(server.url)
        create_ledger(path, make_batch(), [make_job()])
        _rows(server, COPY_JOB, waiting - 1)
        # A server does both by itself, some time after such a change; here that would be later.
        _rows(server, "VACUUM ANALYZE orchestrator.all_jobs")
        _rows(server, "CHECKPOINT")
        _rows(server, "ALTER DATABASE postgres SET log_min_duration_statement = 0")
        before = _rows_read(server)
        words = [sys.executable, "-m", "bench.claiming", str(path), str(waiting), str(CLAIMS)]
        variables = {**os.environ, "ORCHESTRATOR_LEDGER": server.url}
        claimers = [
            subprocess.Popen(words, stdout=subprocess.PIPE, env=variables) for _ in range(CLAIMERS)
        ]
        claims = sum(int(claimer.communicate()[0]) for claimer in claimers)
        read = _rows_read(server) - before
        _rows(server, "ALTER DATABASE postgres RESET log_min_duration_statement")
        location.configure(None)
    statements = _claim_times((server.folder / "log").read_text())
    return Claiming(
        claims=claims,
        statement_ms=statements,
        job_ms=sum(statements) / claims,
        rows_read=read / claims,
        sizes={name: _size(server, f"orchestrator.all_{name}") for name in ("jobs", "attempts")},
    )


def _claim_times(log: str) -> list[float]:
    """How long the server took for each statement of claims, in milliseconds."""
    pattern = r"\[(\d+)\] LOG:  duration: ([\d.]+) ms  (parse|bind|execute) [^:]*: -- Takes jobs"
    taken, times = dict[str, float](), []
    for process, millis, step in re.findall(pattern, log):
        taken[process] = taken.get(process, 0.0) + float(millis)
        if step == "execute":
            times.append(taken.pop(process))
    return times


def _rows_read(server: PostgresServer) -> int:
    ((read,),) = _rows(
        server,
        "SELECT CAST(SUM(COALESCE(seq_tup_read, 0) + COALESCE(idx_tup_fetch, 0)) AS bigint) "
        "FROM pg_stat_user_tables "
        "WHERE relname IN ('all_jobs', 'all_attempts') AND schemaname = 'orchestrator'",
    )
    return int(read)


def _size(server: PostgresServer, table: str) -> tuple[float, float]:
    ((data, indexes),) = _rows(
        server, f"SELECT pg_table_size('{table}'), pg_indexes_size('{table}')"
    )
    return data / 1e6, indexes / 1e6


def _rows(server: PostgresServer, sql: str, *values: object) -> list[tuple[Any, ...]]:
    import psycopg

    with psycopg.connect(server.url, autocommit=True) as connection:
        cursor = connection.execute(sql.encode(), values)
        return [] if cursor.description is None else cursor.fetchall()
