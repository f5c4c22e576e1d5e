"""Ledgers that somebody has changed: no command writes, deletes or reads outside of the batch."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.command import Command, sweep

UP = "../../../../other"


@pytest.fixture
def changed(command: Command) -> Command:
    """A batch whose first job has a key that leads to the folder `other` beside the output."""
    command.write("s.toml", sweep(jobs=2, duration_secs=0.01, items=2))
    ran = command.run("run", "s.toml", "--json")
    assert ran.code == 0, ran.err
    ledger = Path(ran.json["folder"], "ledger.sqlite")
    with closing(sqlite3.connect(ledger)) as db, db:
        (text,) = db.execute("SELECT definition FROM jobs WHERE seq = 0").fetchone()
        values = UP, json.dumps({**json.loads(text), "key": UP})
        db.execute("UPDATE jobs SET key = ?, definition = ? WHERE seq = 0", values)
    command.write("other/items.jsonl", "precious")
    command.write("other/.items.jsonl.1.part", "precious")
    return command


@pytest.mark.parametrize("words", ["collect", "verify", "export --format csv --to -"])
def test_key_that_leads_elsewhere_is_refused(changed: Command, words: str) -> None:
    """The files elsewhere stay as they are, and are not shown."""
    name, *more = words.split()
    done = changed.run(name, changed.folder / "output" / "sweep" / "latest", *more)
    assert (done.code, f"{UP!r} is not the key of a job" in done.err) == (2, True), done.err
    assert "precious" not in done.out
    found = {path.name: path.read_text() for path in (changed.folder / "other").iterdir()}
    assert found == {"items.jsonl": "precious", ".items.jsonl.1.part": "precious"}
