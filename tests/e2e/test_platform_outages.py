"""A platform that dies, is silent or sends nonsense during a batch."""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.conftest import QUICK
from tests.support.command import (
    HURRIED,
    Command,
    Process,
    ServedPlatform,
    served_platform,
    start_platform,
    sweep,
    wait_until,
)

SYNC = 'mode = "sync"\nmemory_mbytes = 128'
SYNC_ITEMS = f"{SYNC}\ncollect = {{ output = false }}"
IMPATIENT = {**QUICK, "ORCHESTRATOR_FIRST_BYTE_TIMEOUT_SECS": "1"}


@pytest.mark.parametrize("job", ["", SYNC], ids=["async", "sync"])
def test_platform_that_restarts_during_a_batch(tmp_path: Path, job: str) -> None:
    """The batch waits and ends correctly; runs that it knew before are not started again."""
    data = tmp_path / "platform"
    process, platform = start_platform(data)
    try:
        command = Command(
            folder=tmp_path, variables={**platform.variables(), **QUICK}, program=HURRIED
        )
        command.write(
            "sweep.toml",
            sweep(jobs=24, batch="max_runs = 6", job=job, duration_secs=0.5, items=5, output=1),
        )
        run = command.start("run", "sweep.toml", "--json")
        wait_until(lambda: len(platform.runs()) >= 10, "ten runs")
        process.kill()
        process.communicate()
        port = platform.url.rpartition(":")[2]
        process, _ = start_platform(data, "--port", port, "--token", platform.token)
        check_end(run, platform, jobs=24, items=5)
    finally:
        process.terminate()
        process.communicate()


@pytest.mark.parametrize("job", ["wait_for_finish_secs = 1", SYNC], ids=["async", "sync"])
def test_platform_that_is_silent_for_a_while(tmp_path: Path, job: str) -> None:
    """The platform accepts connections and answers nothing for too long: nothing is lost."""
    process, platform = start_platform(tmp_path / "platform")
    try:
        command = Command(
            folder=tmp_path, variables={**platform.variables(), **IMPATIENT}, program=HURRIED
        )
        command.write(
            "sweep.toml",
            sweep(jobs=24, batch="max_runs = 6", job=job, duration_secs=0.3, items=5, output=1),
        )
        run = command.start("run", "sweep.toml", "--json")
        wait_until(lambda: len(platform.runs()) >= 10, "ten runs")
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(subprocess.TimeoutExpired):
            run.communicate(timeout=4)
        process.send_signal(signal.SIGCONT)
        check_end(run, platform, jobs=24, items=5)
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.communicate()


NONSENSE = {
    "empty": "",
    "page": "<html><body>It works!</body></html>",
    "cut": '{"data": {"id": "abc", "sta',
    "null": '{"data": null}',
    "other-shape": '{"data": {"id": 7, "status": {"a": 1}, "items": "no", "total": "many"}}',
    "text": "OK\n",
}


@pytest.mark.parametrize(
    ("job", "body"),
    [*(("", body) for body in NONSENSE.values()), (SYNC_ITEMS, "")],
    ids=[*NONSENSE, "empty-sync"],
)
def test_platform_that_sends_nonsense_for_a_while(tmp_path: Path, job: str, body: str) -> None:
    """With a valid status and a wrong body: requests are repeated, and nothing is lost."""
    faults = tmp_path / "faults.json"
    # A wrong record or log cannot be distinguished from a right one; everything else can.
    rule = {"path": "/(users|acts|runs|actor-runs|datasets)", "do": "garbage", "body": body}
    faults.write_text(json.dumps({"rules": [{**rule, "rate": 0.3}]}))
    with served_platform(tmp_path / "platform", "--faults", str(faults)) as platform:
        command = Command(
            folder=tmp_path, variables={**platform.variables(), **QUICK}, program=HURRIED
        )
        command.write("sweep.toml", sweep(jobs=12, job=job, duration_secs=0.1, items=5))
        run = command.start("run", "sweep.toml", "--json")
        run.communicate()
    with served_platform(tmp_path / "platform") as platform:
        check_end(run, platform, jobs=12, items=5)


def check_end(run: Process, platform: ServedPlatform, *, jobs: int, items: int) -> None:
    """All jobs succeeded, each was started once, and each has all its items."""
    out, err = run.communicate()
    assert run.code == 0, err
    starts = Counter(run["meta"]["userAgent"].rsplit(".", 1)[0] for run in platform.runs())
    assert sorted(starts.values()) == [1] * jobs
    folder = Path(json.loads(out)["folder"])
    for number in range(1, jobs + 1):
        lines = (folder / "jobs" / f"job-{number}" / "items.jsonl").read_text().splitlines()
        assert [json.loads(line)["index"] for line in lines] == list(range(items))
