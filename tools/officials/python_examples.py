"""The examples in the documentation of Apify's client for Python."""

from __future__ import annotations

import re
from pathlib import Path

from tools.officials.examples import END, Example, example_account, run, section
from tools.officials.python_client import VERSION as DOCUMENTATION
from tools.officials.suite import Place, Section

VERSION = "3.4.0"
_AUTHORING = "creates an Actor: in the emulator, Actors come from folders"
_WRONG_ID = "asks for a dataset by the id of a run, which the platform refuses too"
EXCLUDED = {
    "02_concepts/02_collection_async.py": _AUTHORING,
    "02_concepts/02_collection_sync.py": _AUTHORING,
    "03_guides/03_retrieve_async.py": _WRONG_ID,
    "03_guides/03_retrieve_sync.py": _WRONG_ID,
}
_LIBRARIES = ("pandas", "httpx")
_HEAD = f"""
The Python files in the documentation of apify-client {DOCUMENTATION}, with apify-client {VERSION}.
Each one runs on a fresh account, with the token, the address of the emulator and real ids in the
places where a reader fills in their own. The client's HTTP library sometimes aborts the interpreter
as it exits, after the last line of an example; that counts as passed.
"""


def python_examples(place: Place) -> Section:
    """Runs all examples but those of EXCLUDED."""
    docs = place.checkout("apify-client-python", f"v{DOCUMENTATION}", "docs") / "docs"
    python = place.environment(f"apify-client=={VERSION}", *_LIBRARIES)
    with example_account() as emulator:
        results = {
            example.name: run(
                emulator, example, place.folder / "runs" / example.name, [str(python)], "main.py"
            )
            for example in _examples(docs, emulator.url)
            if example.name not in EXCLUDED
        }
    return section("The Python client's documented examples", _HEAD, results, EXCLUDED)


def _examples(docs: Path, url: str) -> list[Example]:
    return [
        Example(str(path.relative_to(docs)).replace("/code/", "/"), complete(path.read_text(), url))
        for path in sorted(docs.glob("*/code/*.py"))
    ]


def complete(text: str, url: str) -> str:
    """Adds the address where the token is used, a call of `main` if there is none, and an end."""
    text = re.sub(r"\bTOKEN([,)])", rf"TOKEN, api_url='{url}'\1", text)
    if "__main__" not in text and "def main()" in text:
        call = "asyncio.run(main())" if "async def main()" in text else "main()"
        text += f"\n\nimport asyncio\n\n{call}\n"
    return f"{text}\nprint('{END}', flush=True)\n"
