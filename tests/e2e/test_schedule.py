"""The output of `orchestrator schedule`, checked by the tools that read it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import jsonschema_rs
import pytest
import yaml
from crontab import CronTab

from tests.support.command import ROOT, Command, ServedPlatform, sweep

SUPERVISORS = ("cron", "systemd", "kubernetes", "airflow")
ZONED = 'schedule = "15 2 * * *"\ntimezone = "Europe/Prague"'
ODD = "a 50% b's"


def spec(batch: str = ZONED) -> str:
    """A spec with data in a file, and with a secret."""
    return (
        f'[batch]\nname = "nightly"\n{batch}\n[[jobs]]\nname = "job-{{{{ n }}}}"\n'
        'actor = "orchestrator/simulated"\ninput = { key = "{{ env.SHOP_KEY }}", items = 1 }\n'
        '[jobs.matrix]\nn = { file = "data/n.csv", column = "n" }\n'
    )


@pytest.fixture
def spec_file(command: Command) -> Path:
    """A spec in a folder whose name has spaces and signs that supervisors treat specially."""
    command.write(f"{ODD}/data/n.csv", "n\n1\n")
    return command.write(f"{ODD}/nightly.toml", spec())


def schedule(command: Command, supervisor: str, path: Path | str, *words: str) -> str:
    """The one file that is printed."""
    done = command.run("schedule", supervisor, path, "--json", *words)
    assert done.code == 0, done.err
    (text,) = done.json["files"].values()
    return str(text)


def units(command: Command, path: Path | str, folder: Path, *words: str) -> list[Path]:
    """The service and the timer, written into a folder."""
    folder.mkdir()
    done = command.run("schedule", "systemd", path, "--to", folder, *words)
    assert done.code == 0, done.err
    return [command.folder / line for line in done.out.splitlines()]


def test_schedule_is_accepted_by_the_parser_of_crontabs(command: Command, spec_file: Path) -> None:
    """The crontab has one entry, at the time of the spec, in its zone, with % escaped."""
    text = schedule(command, "cron", spec_file)
    tab = CronTab(tab=text)
    (entry,) = tab.crons
    assert str(entry.slices) == "15 2 * * *"
    assert entry.is_valid()
    assert entry.env["CRON_TZ"] == "Europe/Prague"
    line = text.splitlines()[-1]
    assert "%" not in line.replace(r"\%", "")
    assert "50\\% b" in line


@pytest.mark.skipif(shutil.which("crontab") is None, reason="cron is not installed")
def test_schedule_is_accepted_by_cron(command: Command, spec_file: Path) -> None:
    """The machine's own cron accepts the crontab; it only checks, and installs nothing."""
    path = command.write("tab", schedule(command, "cron", spec_file))
    checks = [
        subprocess.run(["crontab", option, path], check=False, capture_output=True).returncode
        for option in ("-T", "-n")
    ]
    assert 0 in checks


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_schedule_is_accepted_by_systemd(command: Command, spec_file: Path, tmp_path: Path) -> None:
    """Systemd reports no problem of the service and the timer."""
    paths = units(command, spec_file, tmp_path / "units")
    done = subprocess.run(
        ["systemd-analyze", "verify", *paths], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    service, timer = (path.read_text() for path in paths)
    assert "OnCalendar=*-*-* 02:15:00 Europe/Prague" in timer
    assert "RandomizedDelaySec=300" in timer
    assert "RestartPreventExitStatus=1 2 3 4" in service


def test_schedule_is_accepted_by_the_schema_of_kubernetes(
    command: Command, spec_file: Path
) -> None:
    """Each object of the manifest fits the official schema, and has the files of the spec."""
    schema = json.loads((ROOT / "tests" / "data" / "kubernetes.schema.json").read_text())
    kinds = {
        "ConfigMap": "io.k8s.api.core.v1.ConfigMap",
        "PersistentVolumeClaim": "io.k8s.api.core.v1.PersistentVolumeClaim",
        "CronJob": "io.k8s.api.batch.v1.CronJob",
    }
    text = schedule(command, "kubernetes", spec_file)
    # The words of the manifest fit the variable that it sets.
    assert ("ends with 4" in text, text.count("ORCHESTRATOR_HELD_IS_SUCCESS")) == (False, 2)
    objects = {one["kind"]: one for one in yaml.safe_load_all(text)}
    for kind, name in kinds.items():
        checker = jsonschema_rs.validator_for({"$ref": f"#/$defs/{name}", **schema})
        assert [str(error) for error in checker.iter_errors(objects[kind])] == []
    assert [*objects["ConfigMap"]["data"].values()] == [spec(), "n\n1\n"]
    cron_job = objects["CronJob"]["spec"]
    assert (cron_job["schedule"], cron_job["timeZone"]) == ("15 2 * * *", "Europe/Prague")
    pod = cron_job["jobTemplate"]["spec"]["template"]["spec"]
    assert [item["path"] for item in pod["volumes"][1]["configMap"]["items"]] == [
        "nightly.toml",
        "data/n.csv",
    ]


def test_schedule_for_airflow_is_python(command: Command, spec_file: Path) -> None:
    """The DAG compiles; `make test-airflow` loads it into Airflow."""
    text = schedule(command, "airflow", spec_file)
    compile(text, "dag.py", "exec")
    assert "CronTriggerTimetable('15 2 * * *', timezone='Europe/Prague')" in text


@pytest.mark.parametrize("supervisor", SUPERVISORS)
def test_schedule_prints_no_secret(
    command: Command, platform: ServedPlatform, spec_file: Path, supervisor: str
) -> None:
    """The token and secrets are named as variables, and their values appear nowhere."""
    secret = "a-secret-of-the-shop"
    other = Command(folder=command.folder, variables={**command.variables, "SHOP_KEY": secret})
    done = other.run("schedule", supervisor, spec_file)
    assert platform.token not in done.out + done.err
    assert secret not in done.out + done.err
    assert "APIFY_TOKEN" in done.out
    assert "SHOP_KEY" in done.out


@pytest.mark.parametrize("supervisor", SUPERVISORS)
def test_schedule_uses_the_schedule_of_at(command: Command, supervisor: str) -> None:
    """A spec without a schedule gets that of `--at`, and the printed command has it."""
    command.write("s.toml", sweep("hourly", 1))
    done = command.run("schedule", supervisor, "s.toml", "--at", "5 * * * *")
    assert done.code == 0
    assert "ORCHESTRATOR_SCHEDULE" in done.out
    assert "5 * * * *" in done.out
    if supervisor == "cron":
        assert "ORCHESTRATOR_SCHEDULE='5 * * * *' " in done.out


def test_resume_reads_the_schedule_of_the_environment(command: Command) -> None:
    """With ORCHESTRATOR_SCHEDULE, a done occurrence ends with its own code, as with `schedule`."""
    command.write("s.toml", sweep("hourly", 1, duration_secs=0, items=1))
    variables = {**command.variables, "ORCHESTRATOR_SCHEDULE": "@yearly"}
    scheduled = Command(folder=command.folder, variables=variables)
    for _ in range(2):
        done = scheduled.run("run", "--resume", "s.toml", "--json")
        assert done.code == 0, done.err
        assert done.json["occurrence"].endswith("01-01T00:00:00.000Z")
    assert len(scheduled.run("list", "--json").json["batches"]) == 1


@pytest.mark.parametrize(
    ("batch", "words", "reason"),
    [
        ("", (), "has no schedule"),
        (ZONED, ("--at", "0 3 * * *"), "leave out --at, or change the spec"),
        ("", ("--at", "61 * * * *"), "expected cron notation"),
        ('schedule = "0 0 L * *"', (), "uses L, W or #"),
        (ZONED, ("--jitter", "86400"), "choose at most"),
        (ZONED, ("--image", "x"), "--image: cron starts the command itself"),
    ],
    ids=["no schedule", "two schedules", "not cron", "not for cron", "jitter", "image"],
)
def test_schedule_refuses_what_cannot_work(
    command: Command, batch: str, words: tuple[str, ...], reason: str
) -> None:
    """A mistake is reported before anything is installed."""
    command.write("s.toml", sweep("s", 1, batch=batch))
    done = command.run("schedule", "cron", "s.toml", *words)
    assert (done.code, done.out) == (2, "")
    assert reason in done.err


@pytest.mark.parametrize("supervisor", SUPERVISORS)
def test_spec_that_reads_standard_input_is_refused(command: Command, supervisor: str) -> None:
    """What is piped into `schedule` would be missing each night."""
    text = sweep("s", 1, batch='schedule = "@daily"')
    rows = 'rows = { file = "-", format = "csv" }'
    command.write("s.toml", text.replace("n = { range = [1, 1] }", rows))
    done = command.run_script(f"printf 'n\\n1\\n' | orchestrator schedule {supervisor} s.toml")
    assert (done.code, done.out) == (2, ""), done.err
    assert f"s.toml reads standard input, which {supervisor} does not give" in done.err


def test_schedule_warns_of_times_that_the_clock_skips(command: Command, spec_file: Path) -> None:
    """Kubernetes would skip the batch at the beginning of summer time."""
    done = command.run("schedule", "kubernetes", spec_file)
    assert "warning: The clock of Europe/Prague skips 02:15 on " in done.err
    assert "starts no batch on these days" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--param", "nope=1"), "--param nope: unknown parameter 'nope'"),
        (("--select", "name:nope"), "no job of the spec is selected by --select 'name:nope'"),
    ],
    ids=["parameter", "selection"],
)
def test_schedule_warns_of_what_run_would_refuse(
    command: Command, spec_file: Path, words: tuple[str, ...], said: str
) -> None:
    """Else every night would end with 2; the secrets of the environment file are no mistakes."""
    done = command.run("schedule", "cron", spec_file, *words)
    assert (done.code, bool(done.out)) == (0, True)
    assert "warning: now `orchestrator run` would end with 2:" in done.err
    assert said in done.err
    assert command.run("schedule", "cron", spec_file).err == ""
