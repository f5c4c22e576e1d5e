from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from tests.e2e.conftest import QUICK
from tests.support.command import (
    Command,
    ServedPlatform,
    served_platform,
    start_platform,
    wait_until,
)

SPEC = """\
[batch]
name = "p"

[defaults]
timeout_secs = 30
memory_mbytes = 256

[[jobs]]
name = "all"
actor = "orchestrator/simulated"
input = { duration_secs = 0.05, items = 1 }
memory_mbytes = 512
max_items = 7
max_total_charge_usd = 0.25
restart_on_error = true
build = "latest"
force_permission_level = "LIMITED_PERMISSIONS"

[[jobs.webhooks]]
event_types = ["ACTOR.RUN.SUCCEEDED"]
request_url = "http://127.0.0.1:9/{{ date }}"
payload_template = '{"run": {{resource}}}'
"""


def run_of(done_folder: str, job: str) -> dict:
    run: dict = json.loads((Path(done_folder) / "jobs" / job / "run.json").read_text())
    return run


def test_every_parameter_of_a_start_reaches_the_run(command: Command) -> None:
    """The platform runs with everything that a job or the defaults of a spec set."""
    command.write("spec.toml", SPEC)
    done = command.run("run", "spec.toml", "--json")
    assert (done.code, done.err) == (0, "")
    options = run_of(done.json["folder"], "all")["options"]
    assert options["timeoutSecs"] == 30
    assert options["memoryMbytes"] == 512
    assert options["maxItems"] == 7
    assert options["maxTotalChargeUsd"] == 0.25
    assert options["build"] == "latest"


def test_input_that_is_not_json_arrives_unchanged(
    command: Command, platform: ServedPlatform
) -> None:
    """A file with its own content type is the run's input, byte for byte."""
    body = "ä line\n" * 5000
    command.write("input.txt", body)
    command.write(
        "spec.toml",
        '[batch]\nname = "t"\n[[jobs]]\nname = "j"\nactor = "orchestrator/simulated"\n'
        'input_file = "input.txt"\ninput_content_type = "text/plain; charset=utf-8"\n',
    )
    done = command.run("run", "spec.toml", "--json")
    assert done.code == 0
    store = run_of(done.json["folder"], "j")["defaultKeyValueStoreId"]
    request = urllib.request.Request(  # noqa: S310 - on loopback
        f"{platform.url}/v2/key-value-stores/{store}/records/INPUT",
        headers={"Authorization": f"Bearer {platform.token}"},
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - as above
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.read().decode() == body
    assert (Path(done.json["folder"]) / "jobs" / "j" / "input.txt").read_text() == body


def test_task_runs_with_its_own_input_and_options(
    command: Command, platform: ServedPlatform
) -> None:
    """A task job without input uses the task's; an input of the job is merged into it."""
    platform.post(
        "/actor-tasks",
        {
            "actId": "orchestrator/simulated",
            "name": "params-task",
            "input": {"duration_secs": 0.05, "items": 3},
            "options": {"memoryMbytes": 256},
        },
    )
    command.write(
        "spec.toml",
        '[batch]\nname = "t"\n[[jobs]]\nname = "own"\ntask = "local/params-task"\n'
        '[[jobs]]\nname = "over"\ntask = "local/params-task"\ninput = { items = 5 }\n',
    )
    done = command.run("run", "spec.toml", "--json")
    assert (done.code, done.json["items"]) == (0, 8)
    assert run_of(done.json["folder"], "own")["options"]["memoryMbytes"] == 256


def test_restart_of_the_platform_loses_no_run(tmp_path: Path) -> None:
    """If the platform dies and comes back, the batch waits, and nothing runs twice."""
    token = ("--token", "made-up-token")
    process, platform = start_platform(tmp_path / "platform", *token)
    command = Command(folder=tmp_path, variables={**platform.variables(), **QUICK})
    command.write(
        "sweep.toml",
        '[batch]\nname = "s"\nmax_runs = 3\n[[jobs]]\nname = "j-{{ n }}"\n'
        'actor = "orchestrator/simulated"\ninput = { duration_secs = 0.5, items = 2 }\n'
        "matrix = { n = { range = [1, 12] } }\n",
    )
    run = command.start("run", "sweep.toml", "--json")
    wait_until(lambda: len(platform.runs()) >= 4, "four runs")
    process.kill()
    process.communicate()
    port = platform.url.rpartition(":")[2]
    with served_platform(tmp_path / "platform", "--port", port, *token) as again:
        out, _ = run.communicate()
        assert run.code == 0
        assert json.loads(out)["jobs"]["SUCCEEDED"] == 12
        assert len(again.runs()) == 12
