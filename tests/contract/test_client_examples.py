from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from apify_emulator import EmulatorOptions
from tests.support.openapi import watched_emulator

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "client.md"
EXAMPLE = re.compile(r"^## ([^\n]+)\n(?:(?!^## ).)*?```python\n(.*?)```", re.MULTILINE | re.DOTALL)
EXAMPLES = dict(EXAMPLE.findall(DOCUMENT.read_text()))
PRINTED = {
    "Start, wait, download": ["SUCCEEDED", "3 items"],
    "When the answer of a start is lost": ["True"],
    "One request for a short run": [
        "application/json; charset=utf-8 b'{\"answer\":42}'",
        "400 run-failed",
    ],
}


@pytest.mark.parametrize("title", EXAMPLES)
async def test_example_of_the_client_runs(
    title: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each example in docs/client.md does what the text around it says."""
    async with watched_emulator(EmulatorOptions(data_dir=tmp_path)) as platform:
        names: dict[str, Any] = {
            "BASE_URL": platform.url,
            "TOKEN": platform.token.get_secret_value(),
        }
        exec(compile(EXAMPLES[title], f"{DOCUMENT.name}: {title}", "exec"), names)  # noqa: S102
        await names["main"]()
    printed = capsys.readouterr().out.splitlines()
    assert printed[: len(PRINTED[title])] == PRINTED[title]


def test_every_example_is_known() -> None:
    """The output of an example that is added to docs/client.md is checked too."""
    assert set(EXAMPLES) == set(PRINTED)
