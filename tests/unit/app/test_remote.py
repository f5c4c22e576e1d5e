from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.typing import EventDict

from orchestrator.app.outputs import object_store
from orchestrator.app.outputs.object_store import uploaded
from orchestrator.model.batches import Batch, BatchPlan
from orchestrator.model.ids import BatchId, BatchName

obstore = pytest.importorskip("obstore", reason="the extra `remote` is not installed")


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Batch:
    """A batch for a store that reports no digests, with one file in its folder."""
    from obstore.store import MemoryStore

    store = MemoryStore()
    monkeypatch.setattr(object_store, "_open", lambda _url: store)
    (tmp_path / "summary.json").write_bytes(b"{}")
    return Batch(
        id=BatchId("id"),
        name=BatchName("night"),
        mark="m",
        created_at=datetime.now(UTC),
        plan=BatchPlan(spec_path="s", spec_sha256="", remote="gs://bkt"),
        exit_code=0,
    )


async def test_store_without_digests_is_read_back(tmp_path: Path, batch: Batch) -> None:
    """If the store does not report an MD5, the uploaded object is downloaded and compared."""
    assert (await uploaded(tmp_path, batch)).exit_code == 0


async def test_object_that_differs_from_the_file_is_an_error(
    tmp_path: Path, batch: Batch, monkeypatch: pytest.MonkeyPatch, logged: list[EventDict]
) -> None:
    """A store that lost or changed bytes has not accepted the file."""
    original = obstore.put_async

    async def put(store: object, key: str, _file: object, **more: object) -> object:
        return await original(store, key, b"[]", **more)

    monkeypatch.setattr(obstore, "put_async", put)
    assert (await uploaded(tmp_path, batch)).exit_code == 1
    (entry,) = logged
    assert "the object differs from" in entry["error"]


async def test_exit_code_of_a_stopped_batch_stays(
    tmp_path: Path, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that was stopped early is not reported as one with failed jobs."""

    async def put(*_words: object, **_more: object) -> object:
        raise OSError("the store is away")

    monkeypatch.setattr(obstore, "put_async", put)
    assert (await uploaded(tmp_path, replace(batch, exit_code=3))).exit_code == 3
