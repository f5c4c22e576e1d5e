"""The batches of a name: those at a server are read together, and a file is read once."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from orchestrator.app.batch_folders import survey
from orchestrator.app.history import prune
from orchestrator.errors import BatchDeleted
from orchestrator.ledger import create_ledger, location, stores
from orchestrator.ledger.amendments import set_number
from orchestrator.ledger.connection import connect
from orchestrator.ledger.known_batches import read_batch
from orchestrator.ledger.postgres.address import Address
from orchestrator.ledger.postgres.deployment import connect as open_connection
from tests.support.builders import make_batch, make_job

FIRST, SECOND, UNPUBLISHED = (f"2026112{day}T120000Z-abcdef" for day in (5, 6, 7))


@pytest.fixture
def home(tmp_path: Path, postgres_schema: str) -> Iterator[Path]:
    """The folder of three batches whose ledgers are at a server; one has no number yet."""
    location.configure(postgres_schema)
    for number, id_ in enumerate((FIRST, SECOND, UNPUBLISHED), start=1):
        path = tmp_path / "nightly" / id_ / "ledger.sqlite"
        path.parent.mkdir(parents=True)
        create_ledger(path, make_batch(id_=id_, params={"n": id_}), [make_job()])
        if id_ != UNPUBLISHED:
            set_number(path, partial(int, number))
    yield tmp_path / "nightly"
    location.configure(None)


def test_batches_at_a_server_are_the_same_as_one_by_one(home: Path) -> None:
    """One question for all batches reads all that the question for one batch does."""
    published = {row["id"]: row for row in stores.mirror_batches(home.parent, home.name)}
    assert published.keys() == {FIRST, SECOND}
    for id_ in published:
        path = home / id_ / "ledger.sqlite"
        assert read_batch(path, published) == read_batch(path)


def test_batch_without_a_number_is_in_its_folder_only(home: Path) -> None:
    """Other machines do not see it; where its folder is, it is read by itself."""
    assert [one.batch.id for one in survey(home).found] == [SECOND, FIRST, UNPUBLISHED]
    elsewhere = home.parent / "elsewhere" / "nightly"
    assert [one.batch.id for one in survey(elsewhere).found] == [SECOND, FIRST]


def test_batch_that_cannot_be_understood_hides_no_other(home: Path) -> None:
    """Something else may have changed its row."""
    where = location.configured_address()
    assert where is not None
    with closing(open_connection(where)) as other:
        other.execute("UPDATE all_batches SET plan = '{}' WHERE id = %s", [FIRST])
    known = survey(home)
    assert [one.batch.id for one in known.found] == [SECOND, UNPUBLISHED]
    assert [one.folder.name for one in known.unreadable] == [FIRST]


@pytest.mark.parametrize(
    ("name", "id_", "spec_name"),
    [
        ("../above", "x", "spec.toml"),
        ("..", "above", "spec.toml"),
        ("nightly", "x", "../../../above"),
    ],
)
def test_row_of_the_server_writes_nothing_outside_of_the_output(
    home: Path, name: str, id_: str, spec_name: str
) -> None:
    """Whoever may write to the server may not write files on each machine that reads it."""
    where = location.configured_address()
    assert where is not None
    with closing(open_connection(where)) as other:
        other.execute("UPDATE all_batches SET spec_name = 'spec.toml', spec = 'x'")
        values = [name, id_, spec_name, FIRST]
        other.execute(
            "UPDATE all_batches SET name = %s, id = %s, spec_name = %s WHERE id = %s", values
        )
    output = home.parent / "elsewhere" / "output"
    output.mkdir(parents=True)
    stores.mirror_batches(output)
    assert (output / "nightly" / SECOND / "spec.toml").read_text() == "x"
    assert [path.name for path in output.parent.iterdir()] == ["output"]
    assert {path.name for path in output.iterdir()} == {"nightly"}


def test_folder_of_a_batch_that_the_server_does_not_have_is_named(home: Path) -> None:
    """The server may be an older copy of itself; the others are read all the same."""
    where = location.configured_address()
    assert where is not None
    with closing(open_connection(where)) as other:
        other.execute("DELETE FROM all_batches WHERE id = %s", [FIRST])
    known = survey(home)
    assert [one.batch.id for one in known.found] == [SECOND, UNPUBLISHED]
    assert ([one.folder.name for one in known.unreadable], known.deleted) == ([FIRST], [])


def test_folder_of_a_batch_that_another_machine_deleted_is_known(home: Path) -> None:
    """It hides no other, and is not taken for one that cannot be read."""
    stores.discard(home / FIRST / "ledger.sqlite")
    known = survey(home)
    assert [one.batch.id for one in known.found] == [SECOND, UNPUBLISHED]
    assert (known.unreadable, known.deleted) == ([], [home / FIRST])
    with pytest.raises(BatchDeleted, match=r"was deleted from .* at 20"):
        read_batch(home / FIRST / "ledger.sqlite")


def test_copy_of_a_deleted_batch_is_kept(home: Path) -> None:
    """Somebody made it, and has a reason."""
    shutil.copytree(home / FIRST, home / "copy")
    stores.discard(home / FIRST / "ledger.sqlite")
    assert survey(home).deleted == [home / FIRST]


def test_batch_that_no_other_machine_has_seen_leaves_no_record(home: Path) -> None:
    """Makers that end early would fill the server."""
    stores.discard(home / UNPUBLISHED / "ledger.sqlite")
    assert [one.folder.name for one in survey(home).unreadable] == [UNPUBLISHED]


def test_removal_leaves_no_folder_that_was_made_meanwhile(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another command misses the folder while the server still has the ledger, and makes one."""

    def look_and_discard(path: Path) -> None:
        survey(home)
        assert (home / FIRST / "ledger.json").exists()
        stores.discard(path)

    monkeypatch.setattr(prune, "discard", look_and_discard)
    prune.remove(home / FIRST)
    assert not (home / FIRST).exists()
    assert survey(home).unreadable == []


def test_folder_is_not_made_for_a_batch_that_is_deleted_meanwhile(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server had the batch when it was asked, and has not when the folder is there."""
    elsewhere = home.parent / "elsewhere" / "nightly"

    def delete_and_write(made: Path, address: Address, batch_id: str) -> None:
        with closing(stores.connect(home / FIRST / "ledger.sqlite")) as session:
            session.query("delete_batch")
        location.write_pointer(made, address, batch_id)

    shutil.copytree(home / SECOND, elsewhere / SECOND)
    monkeypatch.setattr(stores, "write_pointer", delete_and_write)
    known = survey(elsewhere)
    assert ([one.batch.id for one in known.found], known.unreadable) == ([SECOND], [])
    assert not (elsewhere / FIRST).exists()


def test_file_that_is_the_same_is_not_opened_again(tmp_path: Path) -> None:
    """A look at all earlier batches costs a call little when it is not the first one."""
    path = made_before(tmp_path, secs=3_600)
    assert read_batch(path) is read_batch(path)


@pytest.mark.parametrize("age_secs", [0, 1, -3_600])
def test_file_that_may_still_change_unseen_is_read_again(tmp_path: Path, age_secs: float) -> None:
    """A second change within one tick of the file system's clock leaves no trace in its time."""
    path = made_before(tmp_path, secs=age_secs)
    assert read_batch(path) is not read_batch(path)


def test_changes_of_a_file_that_was_read_are_seen(tmp_path: Path) -> None:
    """Whether they are still in the log beside it, or in the file, which looks as old as before."""
    path = made_before(tmp_path, secs=3_600)
    assert read_batch(path).number == 0
    with closing(connect(path)) as other:
        other.execute("UPDATE batch SET number = 7")
        assert read_batch(path).number == 7
    make_older(path, 3_600)
    assert read_batch(path).number == 7


def made_before(folder: Path, secs: float) -> Path:
    """A ledger whose file has not changed for so long."""
    create_ledger(folder / "ledger.sqlite", make_batch(), [make_job()])
    return make_older(folder / "ledger.sqlite", secs)


def make_older(path: Path, secs: float) -> Path:
    """Sets the time of the last change of a file."""
    os.utime(path, (time.time() - secs,) * 2)
    return path


def test_latest_is_restored_where_the_folders_are_there(home: Path) -> None:
    """The process that made the folders of another machine's batches may have died after that."""
    stale = home / "latest"
    stale.symlink_to(FIRST)
    survey(home)
    assert stale.readlink() == Path(SECOND)
