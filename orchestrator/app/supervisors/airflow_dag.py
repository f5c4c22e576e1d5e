"""The DAG file that lets Airflow start a spec on its schedule. No I/O."""

from __future__ import annotations

from datetime import date

from orchestrator.app.supervisors.cron_fields import plain_cron
from orchestrator.app.supervisors.crontab import environment_steps, search_path
from orchestrator.app.supervisors.installation import (
    HELD,
    MOST_RESTARTS,
    NO_RESTART,
    PAUSES_SECS,
    Installation,
    gap_words,
)

MOVES_GAPS = "may start the batch at another time on these days"
BEGIN = date(2026, 1, 1)
INDENT = " " * 8


def airflow_dag(installation: Installation) -> str:
    """
    A Python file for the folder of DAGs, for Airflow 2.10 and newer.

    Raises:
        UsageError: Airflow cannot express the schedule.
    """
    schedule = plain_cron(installation.fields, "Airflow", star_steps=False)
    zone = installation.zone_name or "UTC"
    variables = {"PATH": search_path(installation), **installation.variables}
    steps = [*environment_steps(installation), "Copy this file into the folder of DAGs."]
    words = gap_words(installation, "Airflow", MOVES_GAPS)
    if words is not None:
        steps.append(words)
    comments = "\n".join(f"# {line}" for line in steps)
    fails = tuple(code for code in NO_RESTART if code != HELD)
    begin = installation.catch_up_from or BEGIN
    return f'''\
{comments}
"""Runs the Apify batch {_plain(installation.name)} on its schedule."""

from __future__ import annotations

import os
import time
from datetime import timedelta

import pendulum
from airflow.exceptions import AirflowException
from airflow.timetables.trigger import CronTriggerTimetable

try:  # Airflow 3
    from airflow.providers.standard.hooks.subprocess import SubprocessHook
    from airflow.sdk import DAG, BaseOperator
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.hooks.subprocess import SubprocessHook
    from airflow.models.baseoperator import BaseOperator
try:  # Airflow 3.2
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
except ImportError:
    from airflow.exceptions import AirflowFailException, AirflowSkipException

COMMAND = {installation.call!r}
FOLDER = {str(installation.folder)!r}
ENVIRONMENT_FILE = {str(installation.environment_file)!r}
VARIABLES = {variables!r}
DELAY_SECS = {installation.delay_secs}
WITH_SECRETS = 'set -a && . "$0" && set +a && exec "$@"'


class RunBatch(BaseOperator):
    """Runs the command for one occurrence, and tells Airflow what its exit code means."""

    hook: SubprocessHook | None = None

    def __init__(self, *, shard=None, **options):
        super().__init__(**options)
        self.shard = shard

    def execute(self, context):
        """Runs the command; raises what its exit code means."""
        time.sleep(DELAY_SECS)
        command = ["/bin/sh", "-c", WITH_SECRETS, ENVIRONMENT_FILE, *COMMAND]
        dag_run = context["dag_run"]
        # A run that somebody triggers has no time of the schedule: the command finds its own.
        if dag_run.run_type in ("scheduled", "backfill"):
            command += ["--occurrence", context["logical_date"].isoformat()]
        if self.shard is not None:
            command += ["--shard", self.shard]
        self.hook = SubprocessHook()
        environment = {{**os.environ, **VARIABLES}}
        code = self.hook.run_command(command, env=environment, cwd=FOLDER).exit_code
        if code == {HELD}:
            raise AirflowSkipException("another process works on this occurrence")
        if code in {fails!r}:
            raise AirflowFailException(f"the batch ended with {{code}}; a retry does not help")
        if code != 0:
            raise AirflowException(f"the batch ended with {{code}}")

    def on_kill(self):
        """Interrupts the command, whose runs continue on the platform."""
        if self.hook is not None:
            self.hook.send_sigterm()


with DAG(
    dag_id={f"orchestrator-{installation.slug}"!r},
    schedule=CronTriggerTimetable({schedule!r}, timezone={zone!r}),
    start_date=pendulum.datetime({begin.year}, {begin.month}, {begin.day}, tz={zone!r}),
    catchup={installation.catch_up_from is not None},
    max_active_runs=1,
):
    {_task(installation.shards)}
'''


def _task(shards: int | None) -> str:
    """The call that makes the task, mapped over the shards if there are several."""
    lines = [
        'task_id="run",',
        f"retries={MOST_RESTARTS},",
        f"retry_delay=timedelta(seconds={PAUSES_SECS[0]}),",
        "retry_exponential_backoff=True,",
        f"max_retry_delay=timedelta(seconds={PAUSES_SECS[-1]}),",
    ]
    if shards is not None:
        lines.append('map_index_template="{{ task.shard }}",')
    options = "\n".join(f"{INDENT}{line}" for line in lines)
    if shards is None:
        return f"RunBatch(\n{options}\n    )"
    each = f'[f"{{number}}/{shards}" for number in range(1, {shards + 1})]'
    return f"RunBatch.partial(\n{options}\n    ).expand(shard={each})"


def _plain(name: str) -> str:
    """A name that can stand in a docstring."""
    return name.replace("\\", "").replace('"', "")
