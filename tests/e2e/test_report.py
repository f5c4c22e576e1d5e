from __future__ import annotations

from pathlib import Path

from tests.support.command import Command, sweep
from tests.support.report_page import data_in, keys_in

HOSTILE = '<script>alert(1)</script> & \\"quotes\\"'


def test_report_is_one_page_that_runs_no_code_of_an_actor(command: Command) -> None:
    """It has totals and failures with reasons; Actor text stays text, and nothing is loaded."""
    text = sweep("page", 3, duration_secs=0.01, items=2) + (
        '[[jobs]]\nname = "bad"\nactor = "orchestrator/simulated"\n'
        f'input = {{ duration_secs = 0.01, outcome = "FAILED", status_message = "{HOSTILE}" }}\n'
    )
    command.write("s.toml", text)
    done = command.run("run", "s.toml", "--json")
    page = (Path(done.json["folder"]) / "report.html").read_text()
    assert page.count("<script") == 2
    assert "<script>alert" not in page
    [error] = data_in(page)["errors"]
    assert '<script>alert(1)</script> & "quotes"' in error
    assert keys_in(page) == ["job-1", "job-2", "job-3", "bad"]
    assert "1 of 4 jobs failed" in page
    assert "http://" not in page
    assert "default-src 'none'" in page


def test_report_is_written_again(command: Command) -> None:
    """The command prints the page's path, and selects jobs on request."""
    command.write("s.toml", sweep("again", 3, duration_secs=0.01))
    folder = Path(command.run("run", "s.toml", "--json").json["folder"])
    for name in ("report.html", "jobs.jsonl", "summary.json"):
        (folder / name).unlink()
    done = command.run("report", "again")
    assert done.code == 0
    assert str(folder).endswith(str(Path(done.out.strip()).parent))
    assert (folder / "jobs.jsonl").is_file()
    assert (folder / "summary.json").is_file()
    command.run("report", "again", "--select", "name:job-2")
    page = (folder / "report.html").read_text()
    assert keys_in(page) == ["job-2"]
    assert "Only these jobs are below: name:job-2" in page
