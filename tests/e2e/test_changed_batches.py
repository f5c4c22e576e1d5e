"""Batches that somebody has changed: no command writes, deletes or reads outside of them."""

from __future__ import annotations

import json
import os
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


@pytest.mark.parametrize("name", [".lock", "log.jsonl"])
@pytest.mark.parametrize("is_pipe", [False, True], ids=["link", "pipe"])
def test_link_or_pipe_in_a_batch_is_not_written_through(
    command: Command, name: str, is_pipe: bool
) -> None:
    """The file that a link leads to stays as it is, and no command waits for a pipe."""
    command.write("s.toml", sweep(jobs=1, duration_secs=0.01))
    ran = command.run("run", "s.toml", "--json")
    assert ran.code == 0, ran.err
    place = Path(ran.json["folder"], name)
    place.unlink()
    precious = command.write("precious", "precious")
    if is_pipe:
        os.mkfifo(place)
    else:
        place.symlink_to(precious)
    done = command.run("collect", place.parent)
    # A pipe can be locked as any file.
    expected = 0 if is_pipe and name == ".lock" else 2
    assert (done.code, name in done.err) == (expected, expected == 2), done.err
    assert precious.read_text() == "precious"
