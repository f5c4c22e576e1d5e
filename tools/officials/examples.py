"""The account that the examples of Apify's documentation expect, and how an example runs on it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from apify_emulator import EmulatorHandle, running_emulator
from tools.officials.suite import Section, table

# An example that prints this has done everything. A library that then aborts the process as it
# exits says nothing about the API.
END = "THE EXAMPLE IS AT ITS END"
_SECS = 120
# A reader fills in a real id where the documentation has one of these.
_TOKENS = ("MY-APIFY-TOKEN", "MY_APIFY_TOKEN", "my-token")
_ACTORS = (
    "apify/hello-world",
    "apify/instagram-hashtag-scraper",
    "apify/web-scraper",
    "john-doe/hello-world",
    "john-doe/my-actor",
    "john-doe/my-cool-actor",
    "username/actor-name",
)
_ITEMS = [{"url": f"https://example.com/{number}", "number": number} for number in range(300)]
_FILES = {"report.csv": b"a,b\n1,2\n", "screenshot.png": b"\x89PNG\r\n\x1a\n"}


@dataclass(frozen=True)
class Example:
    """
    An example of the documentation.

    Attributes:
        name: as the page and the lists of exclusions show it.
        text: complete, but for what a reader fills in.
    """

    name: str
    text: str


@contextmanager
def example_account() -> Iterator[EmulatorHandle]:
    """Serves an account; each example resets it."""
    with running_emulator() as emulator:
        yield emulator


def run(
    emulator: EmulatorHandle, example: Example, folder: Path, command: Sequence[str], file: str
) -> str | None:
    """
    Runs an example in an empty folder on a fresh account.

    Returns:
        Its output if it failed, None if it came to its end.
    """
    text = filled_in(example.text, _account(emulator))
    folder.mkdir(parents=True)
    (folder / file).write_text(text)
    for name, content in _FILES.items():
        (folder / name).write_bytes(content)
    try:
        done = subprocess.run(
            [*command, file],
            check=False, cwd=folder, timeout=_SECS, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"does not end within {_SECS} s"
    ended = done.returncode == 0 or (done.returncode < 0 and END in done.stdout)
    return None if ended else f"exit code {done.returncode}\n{done.stdout}"


def filled_in(text: str, account: Mapping[str, str]) -> str:
    """Returns an example with the values of an account in the places of its placeholders."""
    for placeholder, value in account.items():
        text = re.sub(rf"(['\"]){re.escape(placeholder)}\1", f"'{value}'", text)
    return text


def _account(emulator: EmulatorHandle) -> dict[str, str]:
    emulator.reset()
    actors = {name: emulator.add_actor(name, _ITEMS, output={"ok": True}) for name in _ACTORS}
    runs = [
        emulator.call("POST", f"v2/acts/{actor['id']}/runs?waitForFinish=60")["data"]
        for actor in actors.values()
    ]
    user = emulator.call("GET", "v2/users/me")["data"]["username"]
    stores = {
        kind: emulator.call("POST", f"v2/{kind}?name=mine")["data"]["id"]
        for kind in ("key-value-stores", "request-queues")
    }
    emulator.call("POST", "v2/datasets?name=my-dataset")
    return {
        **dict.fromkeys(_TOKENS, emulator.token),
        "my-actor-id": actors["username/actor-name"]["id"],
        # The Actor of this id is apify/instagram-hashtag-scraper.
        "reGe1ST3OBgYZSsZJ": actors["apify/instagram-hashtag-scraper"]["id"],
        "dataset-id": runs[0]["defaultDatasetId"],
        "john-doe/my-dataset": f"{user}/my-dataset",
        "MY-RUN-ID": runs[0]["id"],
        "MY-KVS-ID": stores["key-value-stores"],
        "REQUEST-QUEUE-ID": stores["request-queues"],
    }


def section(
    title: str, head: str, results: Mapping[str, str | None], excluded: Mapping[str, str]
) -> Section:
    """Returns the section of the page: counts, failures, and the reasons of what cannot run."""
    failed = [name for name, output in results.items() if output is not None]
    for name in failed:
        print(f"--- {name}\n{results[name]}")
    counts = [
        ("passed", str(len(results) - len(failed))),
        ("failed", str(len(failed))),
        ("cannot pass", str(len(excluded))),
    ]
    parts = [head.strip(), table(("examples", "count"), counts)]
    if failed:
        parts.append("Failed: " + ", ".join(f"`{name}`" for name in failed) + ".")
    rows = [(f"`{name}`", reason) for name, reason in excluded.items()]
    parts += ["These cannot pass:", table(("example", "reason"), rows)]
    summary = f"{counts[0][1]} of {len(results)} pass, {len(excluded)} more cannot"
    return Section(title, "\n\n".join(parts) + "\n", not failed, summary)
