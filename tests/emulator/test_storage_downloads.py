"""Whole storages in one file: workbooks and archives; and many records in one store."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

from tests.emulator.caller import Caller, calling


async def _filled(call: Caller, items: list[Any]) -> str:
    """Makes a dataset with these items; returns its path."""
    path = f"datasets/{(await call('POST', 'datasets')).data['id']}"
    assert (await call("POST", f"{path}/items", json=items)).status == 201
    return path


async def test_workbook_has_the_values_as_they_are(tmp_path: Path) -> None:
    """A workbook has a header, numbers as numbers, and texts that never become formulas."""
    items = [{"a": 1.5, "b": "=1+1", "c": {"d": True}}, {"a": 2**60, "b": "x" * 40_000}]
    async with calling(tmp_path) as call:
        reply = await call("GET", f"{await _filled(call, items)}/items", format="xlsx")
        assert reply.headers["Content-Type"].endswith("spreadsheetml.sheet")
    with zipfile.ZipFile(io.BytesIO(reply.body)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    for part in ("<v>1.5</v>", "<t>=1+1</t>", ">c/d<", f"<t>{2**60}</t>", "x" * 32_767):
        assert part in sheet
    assert "<f>" not in sheet
    assert "x" * 32_768 not in sheet


async def test_all_records_come_as_one_archive(tmp_path: Path) -> None:
    """The archive has a file for each record with a prefix, and no name leads out of a folder."""
    async with calling(tmp_path) as call:
        store = f"key-value-stores/{(await call('POST', 'key-value-stores')).data['id']}"
        for key in ("a-1", "a-2", "b", ".."):
            await call("PUT", f"{store}/records/{key.replace('.', '%2E')}", json={"key": key})
        everything = await call("GET", f"{store}/records")
        some = await call("GET", f"{store}/records", prefix="a-")
    with zipfile.ZipFile(io.BytesIO(everything.body)) as archive:
        assert set(archive.namelist()) >= {"a-1.json", "b.json"}
        assert not {"..", "../"} & set(archive.namelist())
        assert archive.read("b.json") == b'{"key":"b"}'
    with zipfile.ZipFile(io.BytesIO(some.body)) as archive:
        assert archive.namelist() == ["a-1.json", "a-2.json"]


async def test_store_of_a_simulated_run_stays_fast_when_it_grows(tmp_path: Path) -> None:
    """A write costs the same with one record and with hundreds: the folder is not read again."""
    async with calling(tmp_path) as call:
        run = await call.finish()
        store = f"key-value-stores/{run['defaultKeyValueStoreId']}"
        await call("PUT", f"{store}/records/first", json=1)
        folder = tmp_path / "stores" / run["defaultKeyValueStoreId"]
        (next(folder.iterdir())).rename(tmp_path / "moved")
        await call("PUT", f"{store}/records/second", json=2)
        keys = (await call("GET", f"{store}/keys")).data["items"]
        assert {"first", "second"} <= {entry["key"] for entry in keys}
