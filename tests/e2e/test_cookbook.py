"""The sweeps of the cookbook that one search, one list or one failure leads to, on the emulator."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Command, Done, ServedPlatform

PAGE = Path(__file__).parents[2] / "docs" / "cookbook.md"


@pytest.fixture
def recipe(command: Command) -> Any:
    """Writes the spec and the data of a section of the cookbook."""

    def write(title: str) -> Command:
        section = PAGE.read_text().partition(title)[2].partition("\n## ")[0]
        for name, text in re.findall(r'```\w+ title="([\w.-]+)"\n(.*?)```', section, re.DOTALL):
            command.write(name, text)
        command.write("s.toml", re.findall(r"```toml\n(.*?)```", section, re.DOTALL)[0])
        return command

    return write


def add_actor(platform: ServedPlatform, name: str, items: list[Any], **more: Any) -> None:
    platform.post("/__emulator/actors", {"name": name, "items": items, **more}, version="")


def inputs(done: Done, key: str) -> Any:
    return json.loads((Path(done.json["folder"]) / "jobs" / key / "input.json").read_text())


def rows_of(done: Done) -> dict[str, dict[str, Any]]:
    lines = (Path(done.json["folder"]) / "jobs.jsonl").read_text().splitlines()
    return {row["key"]: row for row in map(json.loads, lines)}


def test_search_feeds_profiles_in_chunks(recipe: Any, platform: ServedPlatform) -> None:
    """Four searches of a fan-out give jobs of fifty places each, and each place once."""
    places = [{"url": f"https://maps.example/{n}", "totalScore": 3 + n % 3} for n in range(180)]
    add_actor(platform, "compass/crawler-google-places", places)
    add_actor(platform, "compass/google-maps-reviews-scraper", [{"text": "good"}])
    done = recipe("## 11.").run("run", "s.toml", "--json")
    assert done.code == 0, done.err
    assert done.json["jobs"]["SUCCEEDED"] == 6, done.err
    made = [key for key in rows_of(done) if key.startswith("reviews-")]
    urls = [entry["url"] for key in sorted(made) for entry in inputs(done, key)["startUrls"]]
    assert [len(inputs(done, key)["startUrls"]) for key in sorted(made)] == [50, 10]
    assert urls == [f"https://maps.example/{n}" for n in range(180) if n % 3 == 2]


def test_contacts_get_another_proxy_after_a_failure(recipe: Any, platform: ServedPlatform) -> None:
    """The second attempt has the input of the rule, and each attempt's input stays on disk."""
    cheap = {
        "startUrls": [{"url": "https://example.com"}],
        "maxDepth": 2,
        "proxyConfig": {"useApifyProxy": True},
    }
    add_actor(platform, "vdrmota/contact-info-scraper", [{"emails": ["a@example.com"]}])
    add_actor(platform, "vdrmota/contact-info-scraper", [], input=cheap, status="FAILED")
    done = recipe("## 12.").run("run", "s.toml", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 2), done.err
    key, other = sorted(rows_of(done))
    row = rows_of(done)[key]
    dear = {"useApifyProxy": True, "apifyProxyGroups": ["RESIDENTIAL"]}
    assert (row["attempts"], row["input_changes"]) == (2, {"proxyConfig": dear})
    home = Path(done.json["folder"]) / "jobs" / key
    assert json.loads((home / "attempts" / "1" / "input.json").read_text()) == cheap
    for path in (home / "input.json", home / "attempts" / "2" / "input.json"):
        assert json.loads(path.read_text()) == cheap | {"proxyConfig": dear}
    assert rows_of(done)[other]["input_changes"] is None
    assert "attempt 2 with " in (Path(done.json["folder"]) / "report.html").read_text()


def test_only_new_ids_run_in_the_next_batch(recipe: Any, platform: ServedPlatform) -> None:
    """Ids that an earlier batch has are left out; those that failed and new ones are run."""
    add_actor(platform, "acme/product", [{"title": "x"}])
    add_actor(platform, "acme/product", [], input={"id": "1002"}, status="FAILED")
    command = recipe("## 13.")
    done = command.run("run", "s.toml", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"], done.json["jobs"]["FAILED"]) == (1, 2, 1)
    command.write("ids.csv", "id\n1001\n1002\n1003\n1004\n")
    done = command.run("run", "s.toml", "--json")
    assert sorted(rows_of(done)) == ["product-1002", "product-1004"], done.err
    command.write("ids.csv", "id\n1001\n1003\n1004\n")
    done = command.run("run", "s.toml", "--json")
    assert (done.code, sum(done.json["jobs"].values())) == (0, 0), done.err
