"""What `orchestrator schedule` prints, started as cron, systemd and Kubernetes start it."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Collection, Iterator, Mapping
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.command import (
    LONGEST_SECS,
    ROOT,
    Command,
    ServedPlatform,
    served_platform,
    sweep,
    wait_until,
)

PAGE = (ROOT / "docs" / "nightly.md").read_text()
YEARLY = 'schedule = "@yearly"\ntimezone = "UTC"'
SECRETS = ("APIFY_TOKEN", "APIFY_API_BASE_URL", "ORCHESTRATOR_COUNTS_SETTLE_SECS")


class Folder:
    """The surroundings of a call: a spec, and a file with the token."""

    def __init__(self, path: Path, platform: ServedPlatform) -> None:
        self.path = path
        self.platform = platform
        self.command = Command(folder=path, variables=platform.variables())
        self.environment_file = path / "home" / ".config" / "orchestrator" / "nightly.env"
        self.environment_file.parent.mkdir(parents=True)
        lines = [f"{name}='{platform.variables()[name]}'" for name in SECRETS]
        self.environment_file.write_text("\n".join(lines) + "\n")

    def write(self, jobs: int = 1, batch: str = YEARLY, **work: object) -> None:
        """Writes the spec."""
        given = {"duration_secs": 0, "items": 1, **work}
        text = sweep("nightly", jobs=jobs, batch=batch, **given)  # type: ignore[arg-type]
        (self.path / "nightly.toml").write_text(text)

    def printed(self, supervisor: str) -> dict[str, str]:
        """The files for a supervisor, by their endings."""
        done = self.command.run("schedule", supervisor, "nightly.toml", "--jitter", "0", "--json")
        return {Path(name).suffix: text for name, text in done.json["files"].items()}

    def start(self, line: str, variables: Mapping[str, str]) -> subprocess.Popen[str]:
        """Starts a call in the small environment that supervisors give."""
        return subprocess.Popen(
            ["/bin/sh", "-c", line],
            cwd=self.path,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(self.path / "home"),
                "PYTHONPATH": str(ROOT),
                **variables,
            },
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )

    @property
    def runs(self) -> int:
        """How many runs were started."""
        return len(self.platform.runs())

    @property
    def batches(self) -> int:
        """How many batches there are."""
        return len(self.command.run("list", "--json").json["batches"])


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """A folder with its own platform."""
    with served_platform(tmp_path / "platform") as platform:
        yield Folder(tmp_path, platform)


def cron_call(folder: Folder) -> tuple[str, dict[str, str]]:
    """The line and the variables of the crontab, as cron reads them."""
    lines = folder.printed("cron")[".crontab"].splitlines()
    *variables, entry = (line for line in lines if not line.startswith("#"))
    line = entry.split(maxsplit=5)[5].replace(r"\%", "%")
    return line, dict(one.split("=", 1) for one in variables)


def service(folder: Folder) -> dict[str, list[str]]:
    """The settings of the service."""
    found: dict[str, list[str]] = {}
    parser = RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    for line in folder.printed("systemd")[".service"].splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def systemd_call(folder: Folder) -> tuple[str, dict[str, str]]:
    """The command of the service and its environment, as systemd reads them."""
    (line,), (file,) = service(folder)["ExecStart"], service(folder)["EnvironmentFile"]
    pairs = [shlex.split(one)[0].split("=", 1) for one in service(folder)["Environment"]]
    pairs += [shlex.split(one)[0].split("=", 1) for one in Path(file).read_text().splitlines()]
    return f"exec {line}", dict(pairs)


def systemd_restarts(folder: Folder, code: int) -> bool:
    """Whether systemd restarts the unit: never after the codes that forbid it."""
    found = service(folder)
    if code == 0 or str(code) in found["RestartPreventExitStatus"][0].split():
        return False
    return found["Restart"] == ["on-failure"]


def job_spec(folder: Folder) -> dict[str, Any]:
    """The Job of the CronJob."""
    text = folder.printed("kubernetes")[".yaml"]
    (cron_job,) = (one for one in yaml.safe_load_all(text) if one["kind"] == "CronJob")
    found: dict[str, Any] = cron_job["spec"]["jobTemplate"]["spec"]
    return found


def kubernetes_restarts(folder: Folder, code: int) -> bool:
    """Whether another pod follows: not after a code that fails the Job."""
    (rule,) = job_spec(folder)["podFailurePolicy"]["rules"]
    fatal: Collection[int] = rule["onExitCodes"]["values"]
    return code != 0 and code not in fatal


def kubernetes_call(folder: Folder) -> tuple[str, dict[str, str]]:
    """The command of the container, with its mounted folders in this one."""
    (container,) = job_spec(folder)["template"]["spec"]["containers"]
    (line, _) = systemd_call(folder)
    words = [word.replace("/spec/", f"{folder.path}/") for word in container["args"]]
    variables = {one["name"]: one["value"] for one in container["env"]}
    return f"{line.partition(' run ')[0]} {shlex.join(words)}", {
        **variables,
        **folder.platform.variables(),
    }


Call = Callable[[Folder], tuple[str, dict[str, str]]]
Restarts = Callable[[Folder, int], bool]


def cron_restarts(_folder: Folder, _code: int) -> bool:
    """Whether cron repeats its call: never."""
    return False


@pytest.mark.parametrize(
    ("call", "restarts"),
    [
        (cron_call, cron_restarts),
        (systemd_call, systemd_restarts),
        (kubernetes_call, kubernetes_restarts),
    ],
    ids=["cron", "systemd", "kubernetes"],
)
def test_line_of_a_supervisor_serves_its_occurrence_once(
    folder: Folder, call: Call, restarts: Restarts
) -> None:
    """After kills, restarts and further calls, there is one batch, once."""
    folder.write(2, duration_secs=3)
    line, variables = call(folder)
    first = folder.start(line, variables)
    wait_until(lambda: folder.runs == 2, "the runs", secs=240)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert restarts(folder, first.returncode) == (call is not cron_call)
    for _ in range(2):
        again = folder.start(line, variables)
        _, err = again.communicate(timeout=LONGEST_SECS)
        assert again.returncode == 0, err
    assert (folder.runs, folder.batches) == (2, 1)


def test_job_of_a_second_pod_does_not_fail(folder: Folder) -> None:
    """Kubernetes calls a Job failed whose pod ends with 4, so that it ends with 0, with words."""
    folder.write(1, duration_secs=600)
    line, variables = kubernetes_call(folder)
    first = folder.start(line, variables)
    wait_until(lambda: folder.runs == 1, "the run", secs=240)
    second = folder.start(line, variables)
    _, err = second.communicate(timeout=LONGEST_SECS)
    assert (second.returncode, "is running for the occurrence" in err) == (0, True), err
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()


@pytest.mark.parametrize("restarts", [systemd_restarts, kubernetes_restarts])
def test_supervisor_restarts_only_what_may_succeed(folder: Folder, restarts: Restarts) -> None:
    """The unit and the manifest agree with the table for supervisors."""
    folder.write()
    (table,) = re.findall(r"\| exit \| restart \|\n\| --- \| --- \|\n(.*?)\n\n", PAGE, re.DOTALL)
    words = {row.split("|")[1].strip(): row.split("|")[2].strip() for row in table.splitlines()}
    assert {codes: word.startswith("yes") for codes, word in words.items()} == {
        "0": False,
        "1, 2, 3": False,
        "4": False,
        "5, 70, 129 to 143": True,
    }
    codes = (0, 1, 2, 3, 4, 5, 70, 129, 130, 143)
    assert [code for code in codes if restarts(folder, code)] == [5, 70, 129, 130, 143]
