"""
Batches as metrics of Prometheus, in its text format, by its official library.

A label names a batch, a series or a status, never a job: each label value is a time series that
Prometheus keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from orchestrator.app.monitoring.reading import Reading
from orchestrator.model.states import JobStatus

LABELS = ("batch", "series")
PREFIX = "orchestrator_"

Value = Callable[[Reading], float | None]
SINGLE: Sequence[tuple[str, str, Value]] = (
    ("batch_runs_in_flight", "Runs in progress on the platform.", lambda one: one.running),
    ("batch_items", "Items on disk.", lambda one: one.items),
    ("batch_size_bytes", "Bytes of these items.", lambda one: one.size_bytes),
    ("batch_cost_usd", "Cost of all runs, as last reported.", lambda one: float(one.cost_usd)),
    (
        "batch_duration_seconds",
        "Time from the begin of the batch to its end, or until now.",
        lambda one: one.secs,
    ),
    (
        "batch_start_timestamp_seconds",
        "When the batch began, in Unix time.",
        lambda one: one.began_at.timestamp(),
    ),
    (
        "batch_exit_code",
        "Exit code of the batch; absent while a process runs it.",
        lambda one: one.exit_code,
    ),
    (
        "last_success_timestamp_seconds",
        "When a batch of the series last ended with 0, in Unix time; absent if none is known.",
        lambda one: None if one.last_success is None else one.last_success.timestamp(),
    ),
)
"""Metrics with one value for each batch: the name, the meaning, and the value."""


class BatchCollector(Collector):
    """The metrics of some batches, for a registry of the official library."""

    def __init__(self, readings: Iterable[Reading]) -> None:
        self._readings = list(readings)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Each metric with its samples."""
        jobs = _family("batch_jobs", "Jobs by status.", "status")
        requests = _family(
            "batch_requests",
            "Requests to the platform by HTTP status; none is no answer.",
            "status",
        )
        for one in self._readings:
            for status in JobStatus:
                jobs.add_metric([one.name, one.series, status.value], one.jobs.get(status, 0))
            for answer, count in sorted(one.requests.items()):
                requests.add_metric([one.name, one.series, answer], count)
        yield jobs
        yield requests
        for name, meaning, value_of in SINGLE:
            family = _family(name, meaning)
            for one in self._readings:
                value = value_of(one)
                if value is not None:
                    family.add_metric([one.name, one.series], value)
            yield family


def registry_of(readings: Iterable[Reading]) -> CollectorRegistry:
    """A registry with the metrics of some batches, at most one of each series."""
    registry = CollectorRegistry()
    registry.register(BatchCollector(readings))
    return registry


def exposition(readings: Iterable[Reading]) -> bytes:
    """The metrics of some batches in the text format of Prometheus."""
    return generate_latest(registry_of(readings))


def _family(name: str, meaning: str, *labels: str) -> GaugeMetricFamily:
    text = f"{meaning} Of the newest batch of the series." if name.startswith("batch") else meaning
    return GaugeMetricFamily(f"{PREFIX}{name}", text, labels=[*LABELS, *labels])
