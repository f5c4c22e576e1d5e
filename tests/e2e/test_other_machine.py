"""A batch that processes share, looked at from a machine that has none of its files."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.crash.test_kills import QUICK
from tests.support.command import HURRIED, Command, served_platform, sweep, wait_until
from tests.support.postgres_server import PostgresServer, running_server, why_absent

SPEC = """
[batch]
name = "sweep"
max_runs = 2
schedule = "0 0 * * *"

[[jobs]]
name = "short-{{ n }}"
actor = "orchestrator/simulated"
input = { duration_secs = 0.5, items = 2 }
matrix = { n = { range = [1, 12] } }

[[jobs]]
name = "long-{{ n }}"
actor = "orchestrator/simulated"
input = { duration_secs = 600, items = 2 }
matrix = { n = { range = [1, 2] } }
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server for this module."""
    reason = why_absent()
    if reason is not None:
        pytest.skip(reason)
    with running_server() as one:
        yield one


def shown(command: Command) -> tuple[int, int, list[str]] | None:
    """How many jobs wait, how many runs are in progress, and which; None if no batch is live."""
    done = command.run("status", "sweep", "--json")
    live = done.json["live"] if done.code == 0 else None
    return live and (live["waiting"], live["running"], sorted(run["key"] for run in live["runs"]))


def test_another_machine_sees_the_work_of_all_shards(
    tmp_path: Path, server: PostgresServer
) -> None:
    """`status`, `ui` and `watch` count the jobs of all processes, and list the runs of all."""
    with served_platform(tmp_path / "platform") as platform:
        variables = {**platform.variables(), **QUICK, "ORCHESTRATOR_LEDGER": server.url}
        command = Command(folder=tmp_path, variables=variables, program=HURRIED)
        shards = []
        for number in (1, 2):
            here = replace(command, folder=tmp_path / f"machine-{number}")
            here.folder.mkdir()
            here.write("sweep.toml", SPEC)
            shards.append(here.start("run", "sweep.toml", "--shard", f"{number}/2", "--json"))
        other = replace(command, folder=tmp_path / "other")
        other.folder.mkdir()
        wait_until(lambda: shown(other) == (0, 2, ["long-1", "long-2"]), "the end of short jobs")
        watcher = other.start("watch", "sweep", "--json")
        ui = other.start("ui", "--json")
        address = json.loads(ui.first_line())["url"]
        # The token moves from the address into a cookie.
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with opener.open(address, timeout=30) as page:
            assert "sweep" in page.read().decode()
        ui.terminate()
        ui.communicate()
        for run in platform.runs():
            if run["status"] == "RUNNING":
                platform.post(f"/actor-runs/{run['id']}/abort", {})
        for shard in shards:
            shard.communicate()
        out, _ = watcher.communicate()
        assert [one.code for one in (watcher, *shards)] == [1, 1, 1]
        assert json.loads(out.splitlines()[-1])["state"] == "ended"


def with_details(budget_usd: float) -> str:
    """A spec of searches and of a detail of each of their items."""
    return (
        f'[batch]\nname = "shop"\nmax_cost_usd = {budget_usd}\n'
        '[defaults]\nactor = "orchestrator/simulated"\nmax_total_charge_usd = 0.01\n'
        '[[jobs]]\nname = "search-{{ n }}"\nmatrix = { n = { range = [1, 2] } }\n'
        "input = { cost_usd = 0.01, items = 2 }\n"
        '[[jobs]]\nname = "detail-{{ source }}-{{ i }}"\n'
        'input = { cost_usd = 0.01, items = 1, of = "{{ source }}-{{ i }}" }\n'
        '[jobs.matrix]\nrows = { needs = "search-*", fields = { i = "index" } }\n'
    )


def test_changed_spec_needs_the_items_of_the_other_machine(
    tmp_path: Path, server: PostgresServer
) -> None:
    """Items that are absent, or of another attempt, give no jobs: exit 2 names what helps."""
    with served_platform(tmp_path / "platform") as platform:
        variables = {**platform.variables(), "ORCHESTRATOR_LEDGER": server.url}
        command = Command(folder=tmp_path, variables=variables, program=HURRIED)
        spec = command.write("shop.toml", with_details(0.04))
        assert command.run("run", "shop.toml", "--output", "one").code == 3
        spec.write_text(with_details(1.0))
        call = ("resume", "shop", "--accept-changes", "--output", "other")
        for is_absent in (True, False):
            refused = command.run(*call)
            (folder,) = (tmp_path / "other" / "shop").glob("2*")
            helps = f"run `orchestrator collect {folder.relative_to(tmp_path)}`"
            assert (refused.code, helps in refused.err) == (2, True), refused.err
            if is_absent:
                for number in (1, 2):
                    path = f"{folder}/jobs/search-{number}/items.jsonl"
                    command.write(path, '{"index": 0}\n')
        assert command.run("collect", "shop", "--output", "other").code == 1
        done = command.run(*call, "--json")
        assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 6), done.err


LIST_SPEC = """
[batch]
name = "list"

[defaults]
actor = "orchestrator/simulated"

[[jobs]]
name = "list"
input = { items = 3, fail_attempts = 1 }

[[jobs]]
name = "report"
needs = ["list"]
input = { items = 1, item = { rows = '{{ needs.list["items"] | length }}' } }
"""


def test_input_takes_the_results_of_the_last_attempt_from_the_other_machine(
    tmp_path: Path, server: PostgresServer
) -> None:
    """This machine has the items of an attempt that failed; the other one has repeated it."""
    with served_platform(tmp_path / "platform") as platform:
        variables = {**platform.variables(), "ORCHESTRATOR_LEDGER": server.url}
        command = Command(folder=tmp_path, variables=variables, program=HURRIED)
        command.write("list.toml", LIST_SPEC)
        assert command.run("run", "list.toml", "--output", "one").code == 1
        jobs = tmp_path / "one" / "list" / "latest" / "jobs"
        again = command.run("retry", "list", "--select", "name:list", "--output", "other")
        assert again.code == 1, again.err
        verified = command.run("verify", "list", "--output", "one")
        assert (verified.code, "run.json is that of another run" in verified.out) == (1, True)
        command.write(f"{jobs}/list/items.jsonl", '{"index": 0}\n')
        done = command.run("retry", "list", "--output", "one")
        assert done.code == 0, done.err
        assert json.loads((jobs / "report" / "items.jsonl").read_text())["rows"] == 3
        assert command.run("verify", "list", "--output", "one").code == 0


NEW_SPEC = """
[batch]
name = "new"

[results]
unique = ["id"]
new_only = true

[[jobs]]
name = "item-{{ id }}"
actor = "orchestrator/simulated"
input = { items = 1, item = { id = "{{ id }}" } }

[jobs.matrix]
rows = { file = "ids.csv", except = { results = "new", key = "id" } }
"""
COPIES_SPEC = """
[batch]
name = "copies"

[[jobs]]
name = "copy-{{ id }}"
actor = "orchestrator/simulated"

[jobs.matrix]
rows = { results = "new" }
"""


def test_spec_refuses_to_read_results_that_the_other_machine_has(
    tmp_path: Path, server: PostgresServer
) -> None:
    """It would start again what is done, or read an older batch; `collect` brings the results."""
    with served_platform(tmp_path / "platform") as platform:
        variables = {**platform.variables(), "ORCHESTRATOR_LEDGER": server.url}
        command = Command(folder=tmp_path, variables=variables, program=HURRIED)
        command.write("new.toml", NEW_SPEC)
        command.write("copies.toml", COPIES_SPEC)
        command.write("ids.csv", "id\n1\n2\n")
        assert command.run("run", "new.toml", "--output", "one").code == 0
        for spec in ("new.toml", "copies.toml"):
            refused = command.run("run", spec, "--output", "other")
            (folder,) = (tmp_path / "other" / "new").glob("2*")
            helps = f"run `orchestrator collect {folder.relative_to(tmp_path)}` first"
            assert (refused.code, helps in refused.err) == (2, True), refused.err
        assert len(platform.runs()) == 2
        assert command.run("collect", "new", "--output", "other").code == 0
        command.write("ids.csv", "id\n1\n2\n3\n")
        done = command.run("run", "new.toml", "--output", "other", "--json")
        assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 1), done.err
        assert len(platform.runs()) == 3


def test_results_that_cannot_be_reused_are_a_warning(
    tmp_path: Path, server: PostgresServer
) -> None:
    """The other machine has them, so the job runs again, once: then its results are here."""
    with served_platform(tmp_path / "platform") as platform:
        variables = {**platform.variables(), "ORCHESTRATOR_LEDGER": server.url}
        command = Command(folder=tmp_path, variables=variables, program=HURRIED)
        command.write("again.toml", sweep("again", 1, job='reuse = "1h"', items=1))
        for output, warns, runs in (("one", False, 1), ("other", True, 2), ("other", False, 2)):
            done = command.run("run", "again.toml", "--output", output)
            assert (done.code, "results not reused" in done.err) == (0, warns), done.err
            assert len(platform.runs()) == runs


def test_items_of_the_other_machine_that_cannot_be_compared_are_a_warning(
    tmp_path: Path, server: PostgresServer
) -> None:
    """`collect` brings them, and then they are compared; `latest` leads to the newest batch."""
    table = '[batch]\nname = "same"\n[results]\nunique = ["index"]\nnew_only = true\n'
    with served_platform(tmp_path / "platform") as platform:
        variables = {**platform.variables(), "ORCHESTRATOR_LEDGER": server.url}
        command = Command(folder=tmp_path, variables=variables, program=HURRIED)
        job = '[[jobs]]\nname = "job"\nactor = "orchestrator/simulated"\ninput = { items = 2 }\n'
        command.write("same.toml", table + job)
        assert command.run("run", "same.toml", "--output", "one").code == 0
        done = command.run("run", "same.toml", "--output", "other")
        assert (done.code, "history not read" in done.err) == (0, True), done.err
        first, second = sorted(path.name for path in (tmp_path / "other" / "same").glob("2*"))
        for name in (first, second):
            assert command.run("collect", f"same/{name}", "--output", "other").code == 0
        items = tmp_path / "other" / "same" / second / "results" / "items.jsonl"
        assert items.read_text() == ""
        assert command.run("status", "same", "--output", "one").code == 0
        assert (tmp_path / "one" / "same" / "latest").readlink() == Path(second)
