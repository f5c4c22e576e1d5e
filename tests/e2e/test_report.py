from __future__ import annotations

from pathlib import Path

from tests.support.command import Command, sweep

HOSTILE = '<script>alert(1)</script> & \\"quotes\\"'


def test_report_is_one_page_that_runs_nothing(command: Command) -> None:
    """Totals, what failed and why; what an Actor says is text, and nothing is fetched."""
    text = sweep("page", 3, duration_secs=0.01, items=2) + (
        '[[jobs]]\nname = "bad"\nactor = "orchestrator/simulated"\n'
        f'input = {{ duration_secs = 0.01, outcome = "FAILED", status_message = "{HOSTILE}" }}\n'
    )
    command.write("s.toml", text)
    done = command.run("run", "s.toml", "--json")
    page = (Path(done.json["folder"]) / "report.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#34;quotes&#34;" in page
    assert page.count("<code>job-1</code>") == 2
    assert "http://" not in page
    assert "https://" not in page
    assert "default-src 'none'" in page


def test_report_is_written_again(command: Command) -> None:
    """The command names the page, and takes some of the jobs when asked."""
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
    assert ("<code>job-2</code>" in page, "<code>job-1</code>" in page) == (True, False)
