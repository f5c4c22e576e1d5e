"""Inputs that are written in several files: a base, a table over it, and texts of code."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from tests.support.command import Command

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
