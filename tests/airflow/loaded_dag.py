"""
Loads a folder of DAGs into Airflow, and prints what it finds as JSON.

Runs in an environment that has Airflow and not the command; `test_dag.py` starts it.
"""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

import pendulum
from airflow.timetables.base import TimeRestriction

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag

OCCURRENCE = pendulum.datetime(2027, 1, 2, 1, 15)


def outcome(task: Any, code: int, run_type: str) -> tuple[str, list[str]]:
    """The exception of the task when its command ends with a code, and the words of the command."""
    module = sys.modules[type(task).__module__]
    seen: list[str] = []

    class Hook:
        def run_command(self, command: list[str], **_: Any) -> Any:
            seen.extend(command)
            return SimpleNamespace(exit_code=code)

    module.SubprocessHook = Hook  # type: ignore[attr-defined]
    context = {"dag_run": SimpleNamespace(run_type=run_type), "logical_date": OCCURRENCE}
    try:
        task.execute(context)
    except Exception as error:  # noqa: BLE001 - the name is the answer
        return type(error).__name__, seen
    return "success", seen


def times(dag: Any, since: pendulum.DateTime, count: int) -> list[str]:
    """The next logical dates of a DAG."""
    found: list[str] = []
    last = None
    while len(found) < count:
        restriction = TimeRestriction(earliest=since, latest=None, catchup=True)
        info = dag.timetable.next_dagrun_info(
            last_automated_data_interval=last, restriction=restriction
        )
        last = info.data_interval
        found.append(info.logical_date.in_timezone("UTC").isoformat())
    return found


def expanded(task: Any) -> list[str] | None:
    """The values over which a task is mapped; None for one that is not."""
    return list(task.expand_input.value["shard"]) if hasattr(task, "expand_input") else None


def main(folder: str) -> None:
    """Prints the answer."""
    bag = DagBag(dag_folder=folder)
    answer: dict[str, Any] = {"errors": {str(k): str(v) for k, v in bag.import_errors.items()}}
    for dag in bag.dags.values():
        (found,) = dag.tasks
        shards = expanded(found)
        task = found if shards is None else found.unmap({"shard": shards[1]})
        codes = (0, 1, 2, 3, 4, 5, 70, -15)
        answer |= {
            "dag": dag.dag_id,
            "shards": shards,
            "begin": dag.start_date.isoformat(),
            "retries": task.retries,
            "catchup": dag.catchup,
            "outcomes": {code: outcome(task, code, "scheduled")[0] for code in codes},
            "scheduled": outcome(task, 0, "scheduled")[1],
            "manual": outcome(task, 0, "manual")[1],
            "times": times(dag, pendulum.datetime(2027, 3, 27), 3),
        }
    sys.stdout.write(json.dumps(answer) + "\n")


main(sys.argv[1])
