"""The lines of the documents for cron, systemd and Kubernetes, started as those supervisors do."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from configparser import RawConfigParser
from pathlib import Path

import pytest
import yaml

from tests.support.command import ROOT, Command, ServedPlatform, served_platform, sweep, wait_until

PAGE = (ROOT / "docs" / "nightly.md").read_text()
YEARLY = 'schedule = "@yearly"\ntimezone = "UTC"'
CODES = {"done": 0, "failed": 1, "mistake": 2, "stopped": 3, "killed": -signal.SIGKILL}
HELD = 4


class Folder:
    """What the lines work in: a spec, the command in `.venv/bin`, and a token in a file."""

    def __init__(self, path: Path, platform: ServedPlatform) -> None:
        self.path = path
        self.platform = platform
        command = path / ".venv" / "bin" / "orchestrator"
        command.parent.mkdir(parents=True)
        command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m orchestrator "$@"\n')
        command.chmod(0o755)
        (path / ".apify-token").write_text(f"{platform.token}\n")

    def write(self, jobs: int = 1, batch: str = YEARLY, **work: object) -> None:
        """Writes the spec of the lines."""
        given = {"duration_secs": 0, "items": 1, **work}
        text = sweep("nightly", jobs=jobs, batch=batch, **given)  # type: ignore[arg-type]
        (self.path / "nightly.toml").write_text(text)

    def start(self, line: str, *, with_token: bool) -> subprocess.Popen[str]:
        """Starts a line in the bare environment that supervisors give."""
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.path),
            "PYTHONPATH": str(ROOT),
            "APIFY_API_BASE_URL": self.platform.url,
            "ORCHESTRATOR_COUNTS_SETTLE_SECS": "0",
        }
        if with_token:
            environment["APIFY_TOKEN"] = self.platform.token
        return subprocess.Popen(
            ["/bin/sh", "-c", line.replace("/srv/batches", str(self.path))],
            cwd=self.path,
            env=environment,
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
        variables = self.platform.variables()
        command = Command(folder=self.path, variables=variables)
        return len(command.run("list", "--json").json["batches"])


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """A folder with a platform of its own."""
    with served_platform(tmp_path / "platform") as platform:
        yield Folder(tmp_path, platform)


def cron_line(text: str) -> str:
    """The command of the cron line in a document."""
    (line,) = re.findall(r"```cron\n(.*?)\n```", text, re.DOTALL)
    return str(line.split(maxsplit=5)[5])


def unit() -> RawConfigParser:
    """The service of the page."""
    (text,) = re.findall(r"```ini nightly.service\n(.*?)```", PAGE, re.DOTALL)
    parser = RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return parser


def systemd_restarts(code: int) -> bool:
    """Whether systemd restarts the unit: never after the codes that forbid it."""
    service = unit()["Service"]
    if code == 0 or str(code) in service["RestartPreventExitStatus"].split():
        return False
    return service["Restart"] == "on-failure"


def job_spec() -> dict:
    """The Job of the page's CronJob."""
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    found: dict = yaml.safe_load(text)["spec"]["jobTemplate"]["spec"]
    return found


def kubernetes_restarts(code: int) -> bool:
    """Whether another pod follows: not after a code that fails the Job."""
    (rule,) = job_spec()["podFailurePolicy"]["rules"]
    fatal: Collection[int] = rule["onExitCodes"]["values"]
    return code != 0 and code not in fatal


def container_line() -> str:
    """The command of the page's container."""
    (container,) = job_spec()["template"]["spec"]["containers"]
    return ".venv/bin/" + shlex.join(container["args"])


LINES: dict[str, tuple[str, Callable[[int], bool], bool]] = {
    "cron": (cron_line(PAGE), lambda _code: False, False),
    "systemd": (unit()["Service"]["ExecStart"], systemd_restarts, True),
    "kubernetes": (container_line(), kubernetes_restarts, True),
}
SUPERVISORS = pytest.mark.parametrize(
    ("line", "restarts", "with_token"), LINES.values(), ids=LINES.keys()
)


@SUPERVISORS
def test_line_of_a_supervisor_serves_its_occurrence_once(
    folder: Folder, line: str, restarts: Callable[[int], bool], with_token: bool
) -> None:
    """Started, killed, restarted as the supervisor does, and called again: one batch, once."""
    folder.write(2, duration_secs=3)
    first = folder.start(line, with_token=with_token)
    wait_until(lambda: folder.runs == 2, "the runs", secs=240)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert restarts(first.returncode) == (line != LINES["cron"][0])
    for _ in range(2):
        again = folder.start(line, with_token=with_token)
        _, err = again.communicate(timeout=240)
        assert again.returncode == 0, err
    assert (folder.runs, folder.batches) == (2, 1)


@pytest.mark.parametrize("restarts", [systemd_restarts, kubernetes_restarts])
def test_supervisor_restarts_what_may_heal_and_nothing_else(
    restarts: Callable[[int], bool],
) -> None:
    """The table for supervisors is what the unit and the manifest say."""
    (table,) = re.findall(r"\| exit \| restart \|\n\| --- \| --- \|\n(.*?)\n\n", PAGE, re.DOTALL)
    words = {row.split("|")[1].strip(): row.split("|")[2].strip() for row in table.splitlines()}
    assert {codes: word.startswith("yes") for codes, word in words.items()} == {
        "0": False,
        "1, 2, 3": False,
        "4": False,
        "5, 70, 129 to 143": True,
    }
    assert [code for code in (0, 1, 2, 3, 4, 5, 70, 129, 130, 143) if restarts(code)] == [
        5,
        70,
        129,
        130,
        143,
    ]


def test_cron_line_of_the_first_page_is_that_of_the_manual() -> None:
    """There is one line to copy."""
    assert cron_line((ROOT / "README.md").read_text()) == cron_line(PAGE)
