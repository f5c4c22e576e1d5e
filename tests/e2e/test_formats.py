from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import Command, sweep


@pytest.mark.parametrize(
    ("collect", "name", "text"),
    [
        (
            'format = "csv", fields = ["index", "a"], flatten = ["a"], delimiter = ";"',
            "items.csv",
            "index;a",
        ),
        (
            'format = "csv", fields = ["index"], skip_header_row = true, bom = false',
            "items.csv",
            "0\n1\n2",
        ),
        (
            'format = "xml", fields = ["index"], xml_root = "things", xml_row = "thing"',
            "items.xml",
            "<things>\n<thing><index>0</index></thing>",
        ),
        ('format = "json", fields = ["index"], desc = true', "items.json", '[{"index":2}'),
        ('format = "rss", feed_title = "News of the day"', "items.rss", "News of the day"),
        ('format = "html", fields = ["index"]', "items.html", "<table"),
        ('clean = true, omit = ["list", "a"]', "items.jsonl", '{"empty":"","index":0}\n'),
        (
            'unwind = ["list"], fields = ["x"], output_fields = ["y"]',
            "items.jsonl",
            '{"y":1}\n{"y":2}\n{"y":1}',
        ),
    ],
)
def test_items_have_the_requested_format(
    command: Command, collect: str, name: str, text: str
) -> None:
    """Each format has its file, and the platform gets the parameters that shape items."""
    job = f"collect = {{ {collect} }}"
    toml = sweep("formats", 1, job=job, duration_secs=0, items=3, item="ITEM").replace(
        '"ITEM"', '{ "#secret" = 1, a = { b = 2 }, list = [{ x = 1 }, { x = 2 }], empty = "" }'
    )
    command.write("s.toml", toml)
    done = command.run("run", "s.toml", "--json")
    assert done.code == 0, done.err
    found = (Path(done.json["folder"]) / "jobs" / "job-1" / name).read_text()
    assert text in "".join(line.strip(" ") for line in found.splitlines(keepends=True)), found
    assert "#secret" not in found or "clean" not in collect
