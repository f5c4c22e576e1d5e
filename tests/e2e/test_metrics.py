"""The file of metrics, read by Prometheus' own parser."""

from __future__ import annotations

import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.command import Command, sweep, wait_until

Samples = dict[tuple[str, str], float]


def samples(text: str) -> Samples:
    """The value of each sample, by its name and its status."""
    return {
        (sample.name.removeprefix("orchestrator_"), sample.labels.get("status", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def run(command: Command, outcome: str = "SUCCEEDED", *words: str) -> tuple[int, Samples]:
    """Runs a spec of two jobs with a file of metrics; returns the exit code and the samples."""
    command.write("s.toml", sweep("nightly", 2, duration_secs=0, items=3, outcome=outcome))
    done = command.run("run", "s.toml", "--metrics-file", "nightly.prom", *words)
    return done.code, samples((command.folder / "nightly.prom").read_text())


def metrics_page(command: Command) -> tuple[str, str]:
    """The content type and the text of the page of `ui` for scrapers."""
    token = "a-token-of-the-scraper"
    variables = {**command.variables, "ORCHESTRATOR_UI_TOKEN": token}
    process = Command(folder=command.folder, variables=variables).start("ui", "--port", "0")
    url = process.first_line().partition("?")[0]
    request = urllib.request.Request(  # noqa: S310 - on loopback
        f"{url}metrics", headers={"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - on loopback
            return answer.headers["Content-Type"], answer.read().decode()
    finally:
        process.terminate()
        process.communicate()


def test_metrics_show_the_batch(command: Command) -> None:
    """Jobs and requests by status, items, cost, duration and the last success are in the file."""
    code, found = run(command)
    assert code == 0
    assert (found["batch_jobs", "SUCCEEDED"], found["batch_jobs", "FAILED"]) == (2, 0)
    assert (found["batch_items", ""], found["batch_runs_in_flight", ""]) == (6, 0)
    assert found["batch_requests", "201"] == 2
    assert found["batch_requests", "200"] > 2
    assert found["batch_exit_code", ""] == 0
    assert found["batch_cost_usd", ""] >= 0
    assert found["batch_duration_seconds", ""] > 0
    started = found["batch_start_timestamp_seconds", ""]
    assert found["last_success_timestamp_seconds", ""] > started


def test_metrics_of_a_failed_batch_keep_the_last_success(command: Command) -> None:
    """An alert can compare the time of the last success with now."""
    _, before = run(command)
    code, after = run(command, "FAILED")
    assert (code, after["batch_exit_code", ""], after["batch_jobs", "FAILED"]) == (1, 1, 2)
    name = "last_success_timestamp_seconds", ""
    assert after[name] == before[name]


def test_metrics_name_no_job(command: Command) -> None:
    """The labels are the batch, the series and the status."""
    run(command)
    text = (command.folder / "nightly.prom").read_text()
    labels = {
        label
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for label in sample.labels
    }
    assert labels == {"batch", "series", "status"}
    assert "job-1" not in text


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_metrics_are_accepted_by_promtool(command: Command) -> None:
    """Prometheus' own linter finds nothing to complain about."""
    run(command)
    text = (command.folder / "nightly.prom").read_text()
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_metrics_are_written_while_the_batch_runs(command: Command) -> None:
    """The runs in flight show before the end, and nothing but whole files is in the folder."""
    command.write("s.toml", sweep("nightly", 2, duration_secs=60))
    (command.folder / "metrics").mkdir()
    process = command.start("run", "s.toml", "--metrics-file", "metrics/nightly.prom")
    path = command.folder / "metrics" / "nightly.prom"
    wait_until(path.exists, "the file of metrics")
    found = samples(path.read_text())
    assert ("batch_exit_code", "") not in found
    assert sum(found["batch_jobs", status] for status in ("WAITING", "RUNNING")) == 2
    process.terminate()
    process.communicate()
    assert samples(path.read_text())["batch_exit_code", ""] == 143
    assert [one.name for one in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("outcome", ["SUCCEEDED", "FAILED"])
def test_missing_metrics_folder_is_a_warning(command: Command, outcome: str) -> None:
    """The batch has its result and its exit code, and one warning names the file."""
    command.write("s.toml", sweep("nightly", 1, duration_secs=0, items=1, outcome=outcome))
    words = ("run", "s.toml", "--metrics-file", Path("nowhere/nightly.prom"))
    done = command.run(*words)
    assert done.code == (outcome == "FAILED")
    assert done.err.count("metrics not written") == 1
    assert "nowhere/nightly.prom" in done.err
    assert "Traceback" not in done.err


def test_metrics_of_a_resumed_batch_count_all_requests(command: Command) -> None:
    """The requests of an interrupted process count too."""
    folder = str(command.folder / "output" / "nightly" / "latest")
    _, failed = run(command, "FAILED")
    done = command.run("retry", folder, "--metrics-file", "nightly.prom")
    assert done.code == 1
    after = samples((command.folder / "nightly.prom").read_text())
    assert after["batch_requests", "201"] == failed["batch_requests", "201"] + 2


def test_metrics_page_of_the_ui_shows_the_newest_batches(command: Command) -> None:
    """A scraper with the token of ORCHESTRATOR_UI_TOKEN reads the newest batch of each series."""
    run(command)
    run(command, "FAILED")
    kind, text = metrics_page(command)
    assert kind.startswith("text/plain; version=0.0.4")
    found = samples(text)
    assert (found["batch_exit_code", ""], found["batch_jobs", "FAILED"]) == (1, 2)
    assert found["last_success_timestamp_seconds", ""] > 0
    assert found["batch_requests", "201"] == 2


def test_metrics_page_has_each_series_once(command: Command) -> None:
    """The folder of a name that was moved away, or copied, adds no second value of a series."""
    run(command)
    output = command.folder / "output"
    shutil.move(output / "nightly", output / "archive")
    run(command, "FAILED")
    shutil.copytree(output / "archive", output / "znew", symlinks=True)
    _, text = metrics_page(command)
    lines = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(lines) == len(set(lines))
    found = samples(text)
    assert found["batch_exit_code", ""] == 1
    assert found["last_success_timestamp_seconds", ""] > 0


def test_ui_refuses_a_short_token(command: Command) -> None:
    """A token that can be guessed is a mistake in the settings."""
    variables = {**command.variables, "ORCHESTRATOR_UI_TOKEN": "short"}
    done = Command(folder=command.folder, variables=variables).run("ui")
    assert (done.code, "at least 16" in done.err) == (2, True)
