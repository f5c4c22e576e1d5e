"""The Indexed Job that `orchestrator schedule kubernetes --shards N` prints, run pod by pod."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from tests.crash.test_kills import QUICK
from tests.support.command import HURRIED, ROOT, Command, served_platform, sweep
from tests.support.indexed_job import IndexedJob, job_of
from tests.support.postgres_server import PostgresServer

SCHEMAS = ROOT / "tests" / "data" / "kubernetes.schema.json"
NIGHTLY = 'schedule = "15 2 * * *"\ntimezone = "UTC"\nmax_runs = 4'
DUE = datetime(2026, 11, 25, 2, 15, tzinfo=UTC)


def manifest(command: Command, *words: str) -> str:
    """What is printed for shards."""
    done = command.run("schedule", "kubernetes", "nightly.toml", "--jitter", "0", "--json", *words)
    assert done.code == 0, done.err
    (text,) = done.json["files"].values()
    return str(text)


def job(command: Command, secrets: dict[str, str], *, shards: int) -> IndexedJob:
    """The Job of the CronJob at its time."""
    return job_of(manifest(command, "--shards", str(shards)), command, DUE, secrets)


def test_indexed_job_runs_the_batch_of_its_time_once(
    tmp_path: Path, server: PostgresServer
) -> None:
    """An index runs twice and another is killed: each job has one run, in the batch of the Job."""
    with served_platform(tmp_path / "platform") as platform:
        secrets = {**platform.variables(), **QUICK, "ORCHESTRATOR_LEDGER": server.url}
        command = Command(folder=tmp_path, program=HURRIED)
        command.write("nightly.toml", sweep("nightly", 24, batch=NIGHTLY, duration_secs=0.3))
        pods = job(command, secrets, shards=3)
        events = [lambda: pods.live[1][1].kill(), lambda: pods.start(0)]

        def disturb() -> None:
            if events and len(platform.runs()) >= 4:
                events.pop()()

        pods.run(disturb)
        assert (pods.succeeded, pods.failed) == ({0, 1, 2}, set()), pods.outputs
        assert pods.restarts == {1: 1}
        assert len(platform.runs()) == 24
    (batch,) = (tmp_path / "batches/output/nightly").glob("2*")
    summary = json.loads((batch / "summary.json").read_text())
    assert datetime.fromisoformat(summary["occurrence"]) == DUE
    assert summary["jobs"]["SUCCEEDED"] == 24


def test_index_whose_jobs_fail_is_not_restarted(tmp_path: Path, server: PostgresServer) -> None:
    """A failed job fails each index once, and no pod is killed while it writes the reports."""
    with served_platform(tmp_path / "platform") as platform:
        secrets = {**platform.variables(), **QUICK, "ORCHESTRATOR_LEDGER": server.url}
        command = Command(folder=tmp_path, program=HURRIED)
        spec = sweep("nightly", 2, batch=NIGHTLY, duration_secs=0, fail_attempts=9)
        command.write("nightly.toml", spec)
        pods = job(command, secrets, shards=2)
        pods.run()
    assert (pods.succeeded, pods.failed) == (set(), {0, 1})
    assert pods.codes == [1, 1]
    (batch,) = (tmp_path / "batches/output/nightly").glob("2*")
    assert json.loads((batch / "summary.json").read_text())["exit_code"] == 1


@pytest.mark.parametrize("output", [None, "s3://results/nightly"], ids=["volume", "object store"])
def test_manifest_of_shards_fits_the_official_schema(tmp_path: Path, output: str | None) -> None:
    """Each object fits, and the pods share a volume unless results go to an object store."""
    command = Command(folder=tmp_path)
    command.write("nightly.toml", sweep("nightly", 1, batch=NIGHTLY))
    text = manifest(command, "--shards", "3", *(("--output", output) if output else ()))
    schema = json.loads(SCHEMAS.read_text())
    kinds = {
        "ConfigMap": "io.k8s.api.core.v1.ConfigMap",
        "PersistentVolumeClaim": "io.k8s.api.core.v1.PersistentVolumeClaim",
        "CronJob": "io.k8s.api.batch.v1.CronJob",
    }
    objects = {one["kind"]: one for one in yaml.safe_load_all(text)}
    for kind, found in objects.items():
        checker = jsonschema_rs.validator_for({"$ref": f"#/$defs/{kinds[kind]}", **schema})
        assert [str(error) for error in checker.iter_errors(found)] == []
    assert ("PersistentVolumeClaim" in objects) == (output is None)
    spec = objects["CronJob"]["spec"]
    assert spec["concurrencyPolicy"] == "Allow"
    assert spec["jobTemplate"]["spec"]["completions"] == 3
    if output is None:
        assert objects["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteMany"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("cron", "--shards", "3"), "cron starts processes on one machine only"),
        (("kubernetes", "--shards", "3", "--local"), "cannot reach the platform of --local"),
        (("kubernetes", "--config", "config.toml"), "set ORCHESTRATOR_LEDGER in the Secret"),
    ],
    ids=["cron", "local", "a password in a ConfigMap"],
)
def test_schedule_refuses_shards_that_cannot_work(
    tmp_path: Path, words: tuple[str, ...], reason: str
) -> None:
    """The message says what to do instead, and shows no password."""
    command = Command(folder=tmp_path)
    command.write("nightly.toml", sweep("nightly", 1, batch=NIGHTLY))
    command.write("config.toml", 'ledger = "postgresql://me:pass-word-1@db/x"\n')
    supervisor, *options = words
    done = command.run("schedule", supervisor, "nightly.toml", *options)
    assert done.code == 2
    assert reason in done.err
    assert "pass-word-1" not in done.err
