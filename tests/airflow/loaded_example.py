"""
Loads a folder with the DAG of the documentation into Airflow, and prints its task as JSON.

Runs in an environment that has Airflow and not the command; `test_dag.py` starts it.
"""

from __future__ import annotations

import json
import sys
from typing import Any

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag

bag = DagBag(dag_folder=sys.argv[1])
answer: dict[str, Any] = {"errors": {str(k): str(v) for k, v in bag.import_errors.items()}}
for dag in bag.dags.values():
    (mapped,) = dag.tasks
    values = mapped.expand_input.value["env"]
    task = mapped.unmap({"env": values[1]})
    answer |= {
        "shards": [value["ORCHESTRATOR_SHARD"] for value in values],
        "operator": type(task).__name__,
        "command": task.bash_command,
        "skips": list(task.skip_on_exit_code),
    }
sys.stdout.write(json.dumps(answer) + "\n")
