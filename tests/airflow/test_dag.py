"""
The DAG that `orchestrator schedule airflow` prints, loaded by Airflow itself.

Airflow needs 300 MB in its own environment. `make test-airflow` creates it, and runs this.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Command, sweep

PYTHON = os.environ.get("ORCHESTRATOR_TEST_AIRFLOW")
SPEC = sweep("nightly", 1, batch='schedule = "15 2 * * *"\ntimezone = "Europe/Prague"')

pytestmark = pytest.mark.skipif(
    PYTHON is None, reason="Airflow is not installed; make test-airflow runs these tests"
)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow finds in the printed file."""
    folder = tmp_path_factory.mktemp("airflow")
    command = Command(folder=folder)
    command.write("nightly.toml", SPEC)
    (folder / "dags").mkdir()
    done = command.run("schedule", "airflow", "nightly.toml", "--to", "dags", "--jitter", "0")
    assert done.code == 0, done.err
    script = Path(__file__).with_name("loaded_dag.py")
    answer = subprocess.run(
        [str(PYTHON), script, folder / "dags"],
        env={
            "HOME": str(folder),
            "AIRFLOW_HOME": str(folder / "home"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PATH": os.environ["PATH"],
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found


def test_dag_is_loaded_without_errors(loaded: dict[str, Any]) -> None:
    """Airflow's DagBag accepts the file."""
    assert loaded["errors"] == {}
    assert (loaded["dag"], loaded["catchup"]) == ("orchestrator-nightly", False)


def test_dag_follows_the_table_for_supervisors(loaded: dict[str, Any]) -> None:
    """4 skips, 1 to 3 fail without a retry, and the others are retried five times."""
    assert loaded["retries"] == 5
    assert loaded["outcomes"] == {
        "0": "success",
        "1": "AirflowFailException",
        "2": "AirflowFailException",
        "3": "AirflowFailException",
        "4": "AirflowSkipException",
        "5": "AirflowException",
        "70": "AirflowException",
        "-15": "AirflowException",
    }


def test_dag_passes_the_occurrence_of_airflow(loaded: dict[str, Any]) -> None:
    """A scheduled run names its time; after a manual trigger, the command determines it."""
    assert loaded["scheduled"][-2:] == ["--occurrence", "2027-01-02T01:15:00+00:00"]
    assert "--occurrence" not in loaded["manual"]


def test_dag_runs_at_the_occurrences(loaded: dict[str, Any]) -> None:
    """The timetable has the zone of the spec."""
    assert loaded["times"][0] == "2027-03-27T01:15:00+00:00"
    assert loaded["times"][-1] == "2027-03-29T00:15:00+00:00"
