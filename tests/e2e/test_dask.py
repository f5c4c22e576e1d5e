"""`orchestrator run --on dask://…`: a real scheduler and real workers, some of which are killed."""

from __future__ import annotations

import json
import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from orchestrator.ledger import location
from tests.crash.test_kills import QUICK
from tests.support.command import (
    HURRIED,
    Command,
    Process,
    ServedPlatform,
    served_platform,
    sweep,
    wait_until,
)
from tests.support.dask_cluster import MODULES, Cluster, running_cluster, why_absent
from tests.support.postgres_server import PostgresServer, running_server
from tests.support.postgres_server import why_absent as why_no_server

PASSWORD = "s3cret-of-test"
BATCH = 'max_runs = 6\nschedule = "0 0 * * *"'

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))


@dataclass(kw_only=True)
class Site:
    """
    A platform, a cluster, and the machine of the person who calls the command.

    Attributes:
        ledger: the URL, with a schema of the test's own.
    """

    platform: ServedPlatform
    ledger: str
    cluster: Cluster
    command: Command

    def start_workers(self, *names: str) -> None:
        """Starts workers that have the token and the ledger in their environment."""
        own = {**self.platform.variables(), "ORCHESTRATOR_LEDGER": self.ledger}
        for name in names:
            self.cluster.start_worker(name, {**own, **QUICK})

    def start(self, *words: str) -> Process:
        """Starts the command."""
        return self.command.start("run", "sweep.toml", "--on", self.cluster.url, "--json", *words)

    def places(self) -> list[str]:
        """The worker of each shard at work, in the order of the shards."""
        found = []
        for name, worker in self.cluster.workers.items():
            for words in _children(worker.pid):
                if "orchestrator.cli.shard_process" in words:
                    assert PASSWORD not in " ".join(words)
                    assert self.platform.token not in " ".join(words)
                    found.append((words[words.index("--shard") + 1], name))
        return [name for _, name in sorted(found)]


def _children(pid: int) -> Iterator[list[str]]:
    """The command lines of the processes that a process has started."""
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in path.read_text().split():
                words = Path(f"/proc/{child}/cmdline").read_bytes()
                yield words.decode("utf-8", "replace").split("\0")


@pytest.fixture(scope="module")
def services(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[PostgresServer, ServedPlatform, Cluster]]:
    """What all tests share: a server, a platform and a scheduler."""
    folder = tmp_path_factory.mktemp("dask")
    reason = why_no_server()
    if reason is not None:
        pytest.skip(reason)
    with (
        running_server() as server,
        served_platform(folder / "platform") as platform,
        running_cluster(folder / "cluster") as cluster,
    ):
        yield server, platform, cluster


@pytest.fixture
def site(
    tmp_path: Path, services: tuple[PostgresServer, ServedPlatform, Cluster]
) -> Iterator[Site]:
    """A site whose cluster has no worker yet."""
    server, platform, cluster = services
    platform.post_control("reset", None)
    ledger = f"{server.url}?schema=test_{secrets.token_hex(4)}"
    variables = {**platform.variables(), **QUICK, "ORCHESTRATOR_LEDGER": ledger}
    (tmp_path / "mine").mkdir()
    command = Command(
        folder=tmp_path / "mine", variables=variables, program=HURRIED, modules=MODULES
    )
    location.configure(ledger)
    yield Site(platform=platform, ledger=ledger, cluster=cluster, command=command)
    location.configure(None)
    cluster.stop_workers()


def test_shard_of_a_worker_that_dies_runs_elsewhere(site: Site) -> None:
    """Two workers share a batch, one is killed: the other one has both shards to the end."""
    site.command.write("sweep.toml", sweep(jobs=24, batch=BATCH, duration_secs=2, items=2))
    site.start_workers("one", "two")
    wait_until(lambda: site.cluster.logs().count("Registered to") == 2, "two workers")
    caller = site.start()
    wait_until(lambda: sorted(site.places()) == ["one", "two"], "a shard on each worker")
    wait_until(lambda: len(site.platform.runs()) >= 4, "four runs")
    site.cluster.workers["one"].kill()
    wait_until(lambda: site.places() == ["two", "two"], "both shards on one worker")
    out, err = caller.communicate()
    assert caller.code == 0, err + site.cluster.logs()
    summary = json.loads(out)
    assert summary["jobs"]["SUCCEEDED"] == 24
    assert len(site.platform.runs()) == 24
    for secret in (PASSWORD, site.platform.token):
        assert secret not in site.cluster.logs() + err


def test_batch_continues_without_the_process_that_called_it(site: Site) -> None:
    """The caller is killed: the shards continue, and another machine watches them to the end."""
    site.command.write("sweep.toml", sweep(jobs=16, batch=BATCH, duration_secs=0.4, items=2))
    site.start_workers("one")
    caller = site.start("--shards", "1")
    wait_until(lambda: len(site.platform.runs()) >= 3, "three runs")
    caller.kill()
    caller.communicate()
    other = replace(site.command, folder=site.command.folder.parent / "another")
    other.folder.mkdir()
    watched = other.run("watch", "sweep")
    assert watched.code == 0, watched.err
    assert len(site.platform.runs()) == 16
    # A second call finds the batch done, and starts nothing.
    again = site.command.run("run", "sweep.toml", "--on", site.cluster.url, "--json")
    assert (again.code, again.json["jobs"]["SUCCEEDED"]) == (0, 16), again.err
    assert len(site.platform.runs()) == 16


def test_signal_interrupts_the_shards(site: Site) -> None:
    """Ctrl-C stops the batch on all workers, as it does on one machine; resume ends it."""
    site.command.write("sweep.toml", sweep(jobs=12, batch=BATCH, duration_secs=2, items=2))
    site.start_workers("one")
    caller = site.start("--shards", "1")
    wait_until(lambda: len(site.platform.runs()) >= 3, "three runs")
    caller.send_signal(signal.SIGINT)
    _, err = caller.communicate()
    assert caller.code == 130, err
    assert "resume it with: orchestrator resume" in err
    wait_until(lambda: not site.places(), "the end of the shards", secs=15)
    assert len(site.platform.runs()) < 12
    done = site.command.run("resume", "sweep", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 12), done.err
    assert len(site.platform.runs()) == 12


@pytest.mark.skipif("ORCHESTRATOR_SOAK" not in os.environ, reason="make soak runs it")
def test_scheduler_that_dies_ends_the_call(site: Site) -> None:
    """The message says what happened, nothing is lost, and the batch can be resumed."""
    site.command.write("sweep.toml", sweep(jobs=6, batch=BATCH, duration_secs=3, items=2))
    site.start_workers("one")
    caller = site.start("--shards", "1")
    wait_until(lambda: len(site.platform.runs()) >= 3, "three runs")
    site.cluster.stop_scheduler()
    _, err = caller.communicate()
    assert (caller.code, "the scheduler of Dask is gone" in err) == (5, True), err
    assert "Traceback" not in err
    wait_until(lambda: site.cluster.workers["one"].has_ended, "the end of the worker")
    site.cluster.start_scheduler()
    done = site.command.run("run", "sweep.toml", "--shard", "1/1", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 6), done.err
    assert len(site.platform.runs()) == 6


def test_worker_that_cannot_work_on_the_batch_says_why(site: Site) -> None:
    """The token of the caller does not travel: a worker without one starts nothing."""
    site.command.write("sweep.toml", sweep(jobs=1, batch=BATCH, duration_secs=0, items=1))
    site.cluster.start_worker("one", {"ORCHESTRATOR_LEDGER": site.ledger})
    caller = site.start("--shards", "1")
    _, err = caller.communicate()
    assert (caller.code, "APIFY_TOKEN" in err) == (2, True), err
    assert PASSWORD not in err
    assert site.platform.runs() == []


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (("--on", "dask://127.0.0.1:1"), 5, "the scheduler of Dask does not answer"),
        (("--on", "ray://127.0.0.1:1"), 2, "expected dask://HOST:PORT"),
        (("--on", "dask://127.0.0.1:1", "--local"), 2, "--local does not fit"),
        (("--shards", "2"), 2, "--shards needs --on"),
    ],
    ids=["no scheduler", "another engine", "local", "no engine"],
)
def test_engine_that_cannot_be_used_is_an_error(
    tmp_path: Path, words: tuple[str, ...], code: int, reason: str
) -> None:
    """The message says what to do, and nothing is started."""
    variables = {"APIFY_TOKEN": "a-token-of-a-test"}
    command = Command(folder=tmp_path, variables=variables, modules=MODULES)
    command.write("sweep.toml", sweep(jobs=1, batch=BATCH, duration_secs=0, items=1))
    ledger = ("--ledger", "postgresql://me@127.0.0.1:1/x")
    done = command.run("run", "sweep.toml", *ledger, *words)
    assert (done.code, reason in done.err) == (code, True), done.err
