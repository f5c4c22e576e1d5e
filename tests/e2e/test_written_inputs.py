"""Inputs that are written in several files: a base, a table over it, and texts of code."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.support.command import Command, ServedPlatform, wait_until

SPEC = """\
[batch]
name = "written"

[[jobs]]
name = "part-{{ urls_chunk }}"
actor = "orchestrator/simulated"
input_file = "base.json"

[jobs.input]
items = 1
startUrls = "{{ urls | objects('url') }}"
pageFunction = { text_file = "page.js" }

[jobs.matrix]
urls = { file = "urls.csv.gz", column = "url", distinct = true, chunk_items = 2 }
"""

FILED = """\
[batch]
name = "filed"

[[jobs]]
name = "a"
actor = "orchestrator/simulated"
input_file = "given.json"
"""


def test_run_gets_the_input_that_its_files_make(command: Command) -> None:
    """The base, the table, the code and a packed list with `;` reach each run as one input."""
    code = "async ({ page }) => `{{ ${page} }}`;\n"
    command.write("s.toml", SPEC)
    command.write("base.json", '{"items": 7, "durationMs": 5, "note": "{{ raw }}"}')
    command.write("page.js", code)
    table = "url;seen\nhttps://a;1\nhttps://b;1\nhttps://a;1\nhttps://c;1\n"
    (command.folder / "urls.csv.gz").write_bytes(gzip.compress(table.encode("utf-16")))
    done = command.run("run", "s.toml", "--json")
    assert (done.code, done.json["items"]) == (0, 2), done.err
    jobs = Path(done.json["folder"]) / "jobs"
    made = [json.loads((jobs / f"part-{n}" / "input.json").read_text()) for n in (1, 2)]
    urls = [["https://a", "https://b"], ["https://c"]]
    assert made == [
        {
            "items": 1,
            "durationMs": 5,
            "note": "{{ raw }}",
            "startUrls": [{"url": url} for url in some],
            "pageFunction": code,
        }
        for some in urls
    ]


@pytest.mark.parametrize("changed", [None, '{"items": 9}'], ids=["deleted", "changed"])
def test_input_file_that_changes_during_its_run_costs_no_results(
    command: Command, platform: ServedPlatform, changed: str | None
) -> None:
    """The results are collected, and the file that was not sent is not kept as the input."""
    command.write("s.toml", FILED)
    given = command.write("given.json", '{"items": 2, "duration_secs": 1}')
    before = len(platform.runs())
    process = command.start("run", "s.toml", "--json")
    wait_until(lambda: len(platform.runs()) > before, "a run")
    given.unlink() if changed is None else given.write_text(changed)
    out, err = process.communicate()
    assert process.code == 0, err
    folder = Path(json.loads(out)["folder"])
    assert sorted(path.name for path in folder.glob("jobs/a/*")) == ["items.jsonl", "run.json"]
    assert "input_not_kept" in (folder / "log.jsonl").read_text()
    assert command.run("verify", "filed").code == 0


@pytest.mark.parametrize("run", ["true", "false"])
def test_input_that_cannot_be_written_later_is_named(command: Command, run: str) -> None:
    """`collect --input-json` says for which job the file is not the one that was sent."""
    command.write("s.toml", f"{FILED}collect = {{ input = false, run = {run} }}\n")
    given = command.write("given.json", '{"items": 2, "duration_secs": 0.01}')
    assert command.run("run", "s.toml").code == 0
    given.unlink()
    asked = command.run("collect", "filed", "--input-json", "--json")
    assert (asked.code, [one["key"] for one in asked.json["lacking"]]) == (1, ["a"]), asked.err
