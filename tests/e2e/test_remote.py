"""Output to an object store, on a real S3 server in its own process."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.command import LONGEST_SECS, Command, ServedPlatform, sweep, wait_until

# Not imported here, because that takes every worker half a second.
MISSING = next((name for name in ("obstore", "moto", "flask_cors") if find_spec(name) is None), "")
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"{MISSING} is not installed")

SERVE = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""


@dataclass(frozen=True, slots=True)
class Store:
    """An S3 server; paths begin with the bucket."""

    url: str

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Sends a request with credentials, whose signature the server does not check."""
        headers = {
            "Authorization": "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request",
            "Content-Type": "application/octet-stream",
        }
        request = urllib.request.Request(f"{self.url}/{path}", body, headers, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=LONGEST_SECS) as answer:  # noqa: S310 - on loopback
            return bytes(answer.read())

    def names(self, bucket: str) -> set[str]:
        """The keys in a bucket."""
        listing = self.ask("GET", f"{bucket}?list-type=2").decode()
        return set(re.findall("<Key>(.*?)</Key>", listing))


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """A server in its own process."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield Store(f"http://127.0.0.1:{process.stdout.readline().strip()}")
    process.communicate(timeout=LONGEST_SECS)


@pytest.fixture
def remote(tmp_path: Path, platform: ServedPlatform, store: Store) -> Command:
    """The command, with credentials for the store, which has an empty bucket `bkt`."""
    if store.ask("GET", "").find(b"<Name>bkt</Name>") >= 0:
        for name in store.names("bkt"):
            store.ask("DELETE", f"bkt/{name}")
    store.ask("PUT", "bkt")
    own = {
        "AWS_ENDPOINT_URL": store.url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "key-of-a-test",
        "AWS_SECRET_ACCESS_KEY": "secret-of-a-test",
        "AWS_REGION": "us-east-1",
    }
    return Command(folder=tmp_path, variables={**platform.variables(), **own})


def test_whole_batch_is_uploaded(remote: Command, store: Store) -> None:
    """The store has all finished files as they are on disk, but not the ledger and the keys."""
    remote.write("s.toml", sweep("night", 2, duration_secs=0, items=3))
    done = remote.run("run", "s.toml", "--output", "s3://bkt/data", "--json")
    assert done.code == 0, done.err
    folder = Path(done.json["folder"])
    home = f"data/night/{done.json['id']}"
    assert done.json["remote"] == f"s3://bkt/{home}"
    names = store.names("bkt")
    assert {f"{home}/jobs/job-{n}/items.jsonl" for n in (1, 2)} < names
    assert f"{home}/summary.json" in names
    assert not any("ledger" in name or "/." in name for name in names)
    for name in names - {"data/night/latest"}:
        assert (
            store.ask("GET", f"bkt/{name}") == (folder / name.removeprefix(home + "/")).read_bytes()
        )
    assert store.ask("GET", "bkt/data/night/latest") == done.json["id"].encode()
    reported = (
        done.err
        + done.out
        + "".join(path.read_text() for path in folder.rglob("*.json*") if path.is_file())
    )
    assert "secret-of-a-test" not in reported


def test_large_file_is_uploaded_in_pieces_and_verified(remote: Command, store: Store) -> None:
    """A dataset of many megabytes arrives unchanged."""
    remote.write("s.toml", sweep("big", 1, duration_secs=0, items=4000, item_bytes=5000))
    done = remote.run("run", "s.toml", "--output", "s3://bkt", "--json")
    assert done.code == 0, done.err
    path = Path(done.json["folder"]) / "jobs" / "job-1" / "items.jsonl"
    assert path.stat().st_size > 16 * 1024 * 1024
    name = f"bkt/big/{done.json['id']}/jobs/job-1/items.jsonl"
    assert store.ask("GET", name) == path.read_bytes()


def test_batch_is_named_by_its_url(remote: Command) -> None:
    """Status, resume and others accept the URL, the folder, or the name with the output."""
    remote.write("s.toml", sweep("night", 1, duration_secs=0, items=3))
    done = remote.run("run", "s.toml", "--output", "s3://bkt/x", "--json")
    for words in (
        ("status", "s3://bkt/x/night"),
        ("status", f"s3://bkt/x/night/{done.json['id']}"),
        ("status", "night", "--output", "s3://bkt/x"),
        ("resume", "s3://bkt/x/night"),
        ("verify", done.json["folder"]),
    ):
        found = remote.run(*words)
        assert found.code == 0, (words, found.err)
    missing = remote.run("status", "s3://bkt/y/night")
    assert (missing.code, "this machine has none of that store" in missing.err) == (2, True)


def test_only_new_files_are_uploaded_again(remote: Command, store: Store) -> None:
    """Files that the store has stay; files that are no longer on disk are deleted."""
    remote.write("s.toml", sweep("night", 1, duration_secs=0, items=3))
    done = remote.run("run", "s.toml", "--output", "s3://bkt", "--json")
    home = f"night/{done.json['id']}"
    store.ask("PUT", f"bkt/{home}/jobs/job-1/items.jsonl", b"touched by somebody else")
    notes = Path(done.json["folder"]) / "jobs" / "job-1" / "notes.txt"
    notes.write_text("mine")
    assert remote.run("collect", "s3://bkt/night").code == 0
    assert f"{home}/jobs/job-1/notes.txt" in store.names("bkt")
    notes.unlink()
    assert remote.run("collect", "s3://bkt/night").code == 0
    assert store.ask("GET", f"bkt/{home}/jobs/job-1/items.jsonl") == b"touched by somebody else"
    assert f"{home}/jobs/job-1/notes.txt" not in store.names("bkt")


def test_latest_at_the_store_stays_the_newest(remote: Command, store: Store) -> None:
    """An older batch that is collected, or a selection of jobs, does not become the latest."""
    remote.write("s.toml", sweep("night", 2, duration_secs=0, items=3))
    run = ("run", "s.toml", "--output", "s3://bkt", "--json")
    old, new, part = (remote.run(*run, *more).json["id"] for more in ([], [], ["--limit", "1"]))
    for words in ([], ["collect", f"s3://bkt/night/{old}"], ["report", f"s3://bkt/night/{part}"]):
        assert not words or remote.run(*words).code == 0
        assert store.ask("GET", "bkt/night/latest").decode() == new


def test_report_of_a_live_batch_stays_on_disk(remote: Command, store: Store) -> None:
    """The store has no `summary.json` before all results, also if somebody looks meanwhile."""
    remote.write("s.toml", sweep("night", 1, duration_secs=3600, items=3))
    process = remote.start("run", "s.toml", "--output", "s3://bkt")
    wait_until(lambda: "running" in remote.run("status", "s3://bkt/night").out, "the batch")
    assert remote.run("report", "s3://bkt/night").code == 0
    assert {Path(name).name for name in store.names("bkt")} == {"spec.toml"}
    process.terminate()
    process.communicate()
    assert any(name.endswith("summary.json") for name in store.names("bkt"))


def test_changed_reports_are_uploaded(remote: Command, store: Store) -> None:
    """Costs that become final later reach the store too; an error says if it is away."""
    remote.write("s.toml", sweep("night", 1, duration_secs=0, items=3, cost_usd=0.5))
    done = remote.run("run", "s.toml", "--output", "s3://bkt/x", "--json")
    folder = Path(done.json["folder"])
    with closing(sqlite3.connect(folder / "ledger.sqlite", isolation_level=None)) as db:
        db.execute("UPDATE attempts SET cost_usd = '0.01'")
    assert remote.run("report", folder).code == 0
    summary = store.ask("GET", f"bkt/x/night/{done.json['id']}/summary.json")
    assert json.loads(summary)["cost_usd"] == 0.5
    away = replace(remote, variables={**remote.variables, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    reported = away.run("report", folder)
    assert reported.code == 1
    assert "s3://bkt/x/night/" in reported.err
    assert "cannot be written" in reported.err


def test_store_that_accepts_nothing_is_an_error_before_any_start(
    remote: Command, platform: ServedPlatform
) -> None:
    """A missing bucket costs no run."""
    remote.write("s.toml", sweep("night", 1, duration_secs=0, items=3))
    before = len(platform.runs())
    done = remote.run("run", "s.toml", "--output", "s3://not-there/x")
    assert (done.code, "s3://not-there/x" in done.err) == (2, True), done.err
    assert len(platform.runs()) == before


def test_password_in_the_address_of_a_store_is_redacted(remote: Command) -> None:
    """The library quotes the address, for example of a proxy before the store."""
    variables = {**remote.variables, "AWS_ENDPOINT_URL": "http://me:hush%2Fhush@127.0.0.1:9"}
    remote.write("s.toml", sweep("night", 1, duration_secs=0, items=3))
    done = replace(remote, variables=variables).run("run", "s.toml", "--output", "s3://bkt/x")
    assert (done.code, "[secret]@127.0.0.1:9" in done.err) == (2, True), done.err
    assert "hush" not in done.err


def test_collect_completes_a_failed_upload(remote: Command, store: Store) -> None:
    """Everything is on disk, the exit code is 1, and missing files are uploaded later."""
    remote.write("s.toml", sweep("night", 1, duration_secs=0, items=3))
    done = remote.run("run", "s.toml", "--output", "s3://bkt", "--json")
    home = f"night/{done.json['id']}"
    index = Path(done.json["folder"]) / ".remote.json"
    seen = json.loads(index.read_text())
    index.write_text(json.dumps({name: seen[name] for name in seen if "items" not in name}))
    for name in store.names("bkt"):
        store.ask("DELETE", f"bkt/{name}")
    store.ask("DELETE", "bkt")
    failed = remote.run("collect", "s3://bkt/night")
    assert (failed.code, "results not uploaded" in failed.err) == (1, True), failed.err
    store.ask("PUT", "bkt")
    assert remote.run("collect", "s3://bkt/night").code == 0
    assert f"{home}/jobs/job-1/items.jsonl" in store.names("bkt")


@pytest.mark.parametrize("url", ["s3://key:secret@bkt/x", "ftp://b/x", "s3://bkt/x?y=z"])
def test_invalid_url_of_a_store_is_refused(remote: Command, url: str) -> None:
    """This includes a URL with credentials, which belong in the environment."""
    remote.write("s.toml", sweep("night", 1, duration_secs=0, items=3))
    done = remote.run("run", "s.toml", "--output", url)
    assert (done.code, "expected a folder, or s3://" in done.err) == (2, True), done.err
    assert "secret" not in done.err
