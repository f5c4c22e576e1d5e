"""
The DAG that `orchestrator schedule airflow` prints, loaded by Airflow itself.

Airflow needs 300 MB in its own environment. `make test-airflow` creates it, and runs this.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Command, sweep

ENGINES = Path(__file__).parents[2] / "docs" / "engines.md"
PYTHON = os.environ.get("ORCHESTRATOR_TEST_AIRFLOW")
SPEC = sweep("nightly", 1, batch='schedule = "15 2 * * *"\ntimezone = "Europe/Prague"')

pytestmark = pytest.mark.skipif(
    PYTHON is None, reason="Airflow is not installed; make test-airflow runs these tests"
)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow finds in the printed file."""
    return found_by_airflow(tmp_path_factory.mktemp("airflow"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow finds in the printed file for four shards that catch up."""
    words = ("--shards", "4", "--catch-up", "2026-11-24")
    return found_by_airflow(tmp_path_factory.mktemp("airflow"), *words)


def found_by_airflow(folder: Path, *words: str) -> dict[str, Any]:
    """Writes a DAG into a folder, and loads it."""
    command = Command(folder=folder)
    command.write("nightly.toml", SPEC)
    (folder / "dags").mkdir()
    given = ("--to", "dags", "--jitter", "0", *words)
    done = command.run("schedule", "airflow", "nightly.toml", *given)
    assert done.code == 0, done.err
    return told_by_airflow("loaded_dag.py", folder)


def told_by_airflow(script: str, folder: Path) -> dict[str, Any]:
    """What a script of this folder prints that loads the DAGs of another one."""
    answer = subprocess.run(
        [str(PYTHON), Path(__file__).with_name(script), folder / "dags"],
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


@pytest.mark.parametrize("kind", ["loaded", "shared"])
def test_dag_follows_the_table_for_supervisors(kind: str, request: pytest.FixtureRequest) -> None:
    """4 skips, 1 to 3 fail without a retry, and the others are retried five times."""
    found = request.getfixturevalue(kind)
    assert found["retries"] == 5
    assert found["outcomes"] == {
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


def test_dag_of_shards_maps_its_task(shared: dict[str, Any]) -> None:
    """Each shard is a mapped task that names its place and the occurrence of Airflow."""
    assert shared["errors"] == {}
    assert shared["shards"] == ["1/4", "2/4", "3/4", "4/4"]
    assert shared["scheduled"][-4:] == [
        "--occurrence", "2027-01-02T01:15:00+00:00", "--shard", "2/4",
    ]  # fmt: skip


def test_dag_catches_up_from_the_day_that_is_named(shared: dict[str, Any]) -> None:
    """Airflow starts the batches that it missed since that day, in the zone of the spec."""
    assert (shared["catchup"], shared["begin"]) == (True, "2026-11-23T23:00:00+00:00")


def test_dag_of_the_documentation_is_loaded(tmp_path: Path) -> None:
    """A plain BashOperator, mapped over the shards, in a DAG that a person writes."""
    (tmp_path / "dags").mkdir()
    (example,) = re.findall(r"```python\n(.*?)```", ENGINES.read_text("utf-8"), re.DOTALL)
    (tmp_path / "dags" / "nightly.py").write_text(example, "utf-8")
    found = told_by_airflow("loaded_example.py", tmp_path)
    assert (found["errors"], found["operator"], found["skips"]) == ({}, "BashOperator", [4])
    assert found["shards"] == ["1/4", "2/4", "3/4", "4/4"]
    assert found["command"].startswith("orchestrator run nightly.toml --occurrence ")
