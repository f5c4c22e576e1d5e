from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from threading import Event

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.app.monitoring.metrics_file import MetricsFile, write_metrics
from orchestrator.app.monitoring.reading import Reading, requests_by_status
from orchestrator.ledger import create_ledger
from orchestrator.model.states import JobStatus
from tests.support.builders import make_batch
from tests.support.captured_events import captured_events
from tests.support.command import LONGEST_SECS

READING = Reading(
    name="nightly",
    series="0123456789ab",
    jobs={JobStatus.SUCCEEDED: 3},
    running=0,
    items=12,
    size_bytes=300,
    cost_usd=Decimal("0.25"),
    began_at=datetime(2026, 11, 26, tzinfo=UTC),
    secs=60.0,
)


def written(path: Path, reading: Reading) -> set[str]:
    """The names of the metrics that have a sample in the file."""
    write_metrics(path, reading)
    families = text_string_to_metric_families(path.read_text())
    return {family.name.removeprefix("orchestrator_") for family in families if family.samples}


def test_metrics_leave_out_what_is_not_known(tmp_path: Path) -> None:
    """A batch that runs has no exit code, and a series without a success has no time of one."""
    path = tmp_path / "a.prom"
    live = written(path, READING)
    assert not live & {"batch_exit_code", "last_success_timestamp_seconds"}
    ended = replace(READING, exit_code=0, last_success=READING.began_at)
    assert written(path, ended) - live == {"batch_exit_code", "last_success_timestamp_seconds"}


def test_requests_without_an_answer_are_counted() -> None:
    """What was sent and never answered has a status of its own."""
    assert requests_by_status({"200": 5, "429": 1}, 8) == {"200": 5, "429": 1, "none": 2}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a batch."""
    path = tmp_path / "nightly" / "20261126T000000Z-000000"
    path.mkdir(parents=True)
    create_ledger(path / "ledger.sqlite", make_batch(), [])
    return path


def warnings_of(
    folder: Path, write: Callable[[Path, Reading], None], *, patience_secs: float = LONGEST_SECS
) -> list[str]:
    """The warnings of a file whose writes do this."""
    file = MetricsFile(path=folder / "a.prom", write=write, patience_secs=patience_secs)
    with captured_events() as logs:
        file.finish(folder)
        file.finish(folder)
    return [log["reason"] for log in logs if log["event"] == "metrics_not_written"]


def test_full_disk_under_the_metrics_is_a_warning(folder: Path) -> None:
    """The words of the system are the reason, once in each call."""

    def write(_path: Path, _reading: Reading) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    assert warnings_of(folder, write) == ["[Errno 28] No space left on device"]


def test_metrics_folder_that_hangs_does_not_delay_the_end(folder: Path) -> None:
    """The process waits some seconds, says so, and ends."""
    never = Event()

    def write(_path: Path, _reading: Reading) -> None:
        never.wait()

    reasons = warnings_of(folder, write, patience_secs=0.05)
    never.set()
    assert reasons == ["the folder does not answer within 0.05 s"]
