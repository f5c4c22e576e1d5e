"""The examples in the documentation of Apify's client for JavaScript."""

from __future__ import annotations

import re
from pathlib import Path

from tools.officials.examples import Example, example_account, run, section
from tools.officials.suite import Place, Section

VERSION = "2.25.0"
_AUTHORING = "creates an Actor: in the emulator, Actors come from folders"
_TWICE = "declares `items` twice, which no JavaScript engine accepts"
_BUNDLE = "imports the bundle for browsers, which Node.js cannot; asks the API for nothing"
EXCLUDED = {
    "02_concepts/01_usage-patterns 1": _AUTHORING,
    "02_concepts/01_usage-patterns 3": _TWICE,
    "02_concepts/05_bundled-environments 1": _BUNDLE,
    "03_guides/01_examples 5": "an Express server that never ends and asks the API for nothing",
    "README 2": _AUTHORING,
    "README 6": _TWICE,
    "README 7": _BUNDLE,
}
_HEAD = f"""
The blocks of JavaScript and TypeScript in the documentation and the README of apify-client
{VERSION} for JavaScript, with that client. Each one runs on a fresh account, with the token, the
address of the emulator and real ids in the places where a reader fills in their own.
"""
_BLOCK = re.compile(
    r"^```(?:js|javascript|typescript)\b[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE
)
_REQUIRE = """\
import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);
"""
# The later blocks of the README continue with the client of an earlier one.
_CLIENT = """\
const { ApifyClient } = require('apify-client');
const apifyClient = new ApifyClient({ token: 'my-token' });
"""


def js_examples(place: Place) -> Section:
    """Runs all examples but those of EXCLUDED."""
    checkout = place.checkout("apify-client-js", f"v{VERSION}", "docs", "README.md")
    place.npm(f"apify-client@{VERSION}")
    with example_account() as emulator:
        results = {
            example.name: run(
                emulator, example, place.folder / "runs" / example.name, ["node"], "main.mjs"
            )
            for example in _examples(checkout, emulator.url)
            if example.name not in EXCLUDED
        }
    return section("The JavaScript client's documented examples", _HEAD, results, EXCLUDED)


def _examples(checkout: Path, url: str) -> list[Example]:
    pages = {
        **{
            str(path.relative_to(checkout / "docs").with_suffix("")): path
            for path in sorted((checkout / "docs").glob("*/*.md"))
        },
        "README": checkout / "README.md",
    }
    return [
        Example(f"{name} {number}", complete(text, url))
        for name, path in pages.items()
        for number, text in enumerate(_BLOCK.findall(path.read_text()), 1)
    ]


def complete(text: str, url: str) -> str:
    """Adds the address beside the token, and makes a block of CommonJS a module."""
    if "apify-client" not in text:
        text = _CLIENT + text
    text = re.sub(r"(token: '[^']*')", rf"\1, baseUrl: '{url}'", text)
    if "require(" not in text:
        return text
    return _REQUIRE + text
