"""What a worker of an engine does with a shard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.app.engines.dask_worker import run_shard
from orchestrator.app.engines.shard_order import ShardDied, ShardOrder
from orchestrator.version import __version__

ORDER = ShardOrder(
    group="orchestrator-nightly-20261125T0215Z-1a2b3c4d",
    shard="2/8",
    spec="nightly.toml",
    files={"nightly.toml": b"[batch]\nname = 'nightly'\n", "data/n.csv": b"n\n1\n"},
    words=["--limit", "3"],
    ledger="postgresql://nightly@db/batches",
    version=__version__,
    pause_secs=0,
)
PROGRAM = """
import os, sys
from pathlib import Path
spec = Path(sys.argv[-1])
said = [sys.argv[1:-1], os.environ["ORCHESTRATOR_LEDGER"], sorted(os.listdir(spec.parent))]
print(*said, file=sys.stderr)
sys.exit(int(os.environ["TEST_CODE"]))
"""


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A worker with a token, whose shards are a program that says how it was called."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    pytest.importorskip("distributed", reason="Dask is not installed: pip install -e '.[dev]'")
    monkeypatch.setattr("distributed.secede", lambda: None)
    monkeypatch.setenv("APIFY_TOKEN", "apify_api_of_a_test")
    monkeypatch.delenv("ORCHESTRATOR_LEDGER", raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


@pytest.mark.parametrize("code", [0, 3])
def test_shard_gets_the_files_and_the_address_of_the_ledger(
    worker: pytest.MonkeyPatch, code: int
) -> None:
    """A code after which no supervisor tries again is the result of the task."""
    worker.setenv("TEST_CODE", str(code))
    end = run_shard(ORDER, ["program.py"])
    assert (end.shard, end.code) == ("2/8", code)
    assert end.said.strip() == (
        "['run', '--limit', '3', '--shard', '2/8'] postgresql://nightly@db/batches "
        "['data', 'nightly.toml']"
    )


@pytest.mark.parametrize("code", [5, 70, 143])
def test_shard_that_may_succeed_later_is_given_back_to_the_engine(
    worker: pytest.MonkeyPatch, code: int
) -> None:
    """Dask tries a task again that raises an error."""
    worker.setenv("TEST_CODE", str(code))
    with pytest.raises(ShardDied, match=f"shard 2/8 ended with {code}"):
        run_shard(ORDER, ["program.py"])


def test_worker_with_another_version_starts_nothing(worker: pytest.MonkeyPatch) -> None:
    """Two versions might not agree on the ledger."""
    end = run_shard(replace(ORDER, version="0.0.1"))
    assert end.code == 2
    assert "install the same" in end.said


def test_worker_with_another_ledger_starts_nothing(worker: pytest.MonkeyPatch) -> None:
    """It would make a second batch there, and start every run twice."""
    worker.setenv("ORCHESTRATOR_LEDGER", "postgresql://nightly:pass-word@db/others")
    end = run_shard(ORDER, ["program.py"])
    assert end.code == 2
    assert "postgresql://nightly@db/others, and that of the batch postgresql:" in end.said
    assert "pass-word" not in end.said


def test_worker_keeps_its_own_password_of_the_same_ledger(worker: pytest.MonkeyPatch) -> None:
    """Its variable may hold the password, which the caller never sends."""
    worker.setenv("TEST_CODE", "0")
    worker.setenv("ORCHESTRATOR_LEDGER", "postgresql://nightly:pass-word@db/batches")
    end = run_shard(ORDER, ["program.py"])
    assert end.code == 0
    assert "nightly:[secret]@db" in end.said


def test_order_is_shown_by_its_name_alone() -> None:
    """Dask logs the arguments of a task that fails, and shows its key."""
    assert repr(ORDER) == "<orchestrator-nightly-20261125T0215Z-1a2b3c4d-shard-2-of-8>"
