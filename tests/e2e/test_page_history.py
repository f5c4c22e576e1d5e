"""What the page of a batch says of earlier ones, also where one of them cannot be read."""

from __future__ import annotations

from pathlib import Path

from tests.support.command import Command, sweep
from tests.support.finished_batches import many_jobs, write_batch
from tests.support.report_page import write_page


def test_broken_batch_in_the_history_is_a_warning_on_the_page(command: Command) -> None:
    """A torn ledger and a foreign file beside it cost a sentence each; the batch succeeds."""
    command.write("s.toml", sweep("again", 2, duration_secs=0.01))
    torn = Path(command.run("run", "s.toml", "--json").json["folder"])
    (torn / "ledger.sqlite").write_bytes(b"not a ledger")
    whole = Path(command.run("run", "s.toml", "--json").json["folder"])
    done = command.run("run", "s.toml", "--json")
    assert done.code == 0
    page = (Path(done.json["folder"]) / "report.html").read_text()
    assert f"{torn.name} is not compared" in page
    assert "This batch and 1 of its series before it" in page
    assert whole.name in page


def test_ledger_with_damaged_pages_in_the_history_is_a_warning(tmp_path: Path) -> None:
    """A ledger that opens and is damaged inside is left out, with its folder and the reason."""
    damaged = write_batch(tmp_path, many_jobs(200), number=1) / "ledger.sqlite"
    content = bytearray(damaged.read_bytes())
    content[3 * 4096 :] = b"\xff" * (len(content) - 3 * 4096)
    damaged.write_bytes(content)
    folder = write_batch(tmp_path, many_jobs(20), number=2)
    page = write_page(folder).read_text()
    assert f"{damaged.parent.name} is not compared" in page
    assert "Against earlier batches" not in page
