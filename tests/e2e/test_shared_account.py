from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command import Command, ServedPlatform, sweep


@pytest.mark.parametrize(
    ("words", "limit"),
    [(("--max-runs", "4"), "limit 4<"), (("--max-memory-mbytes", "4096"), "limit 4,096 MB<")],
    ids=["runs", "memory"],
)
def test_two_programs_that_share_an_account_both_end(
    faulty: Callable[..., tuple[Command, ServedPlatform]], words: tuple[str, str], limit: str
) -> None:
    """
    Each assumes that the account is its own; refusals use up no attempt, and no job is lost.

    The report shows the limit, which only the account has.
    """
    command, _ = faulty(words=words)
    job = "memory_mbytes = 1024"
    for name in ("one", "two"):
        command.write(f"{name}.toml", sweep(name, 20, job=job, duration_secs=0.3, items=1))
    processes = [command.start("run", f"{name}.toml", "--json") for name in ("one", "two")]
    for process in processes:
        out, err = process.communicate()
        assert process.code == 0, err
        summary = json.loads(out)
        assert (summary["jobs"]["SUCCEEDED"], summary["attempts"]) == (20, 20)
        assert limit in (Path(summary["folder"]) / "report.html").read_text()
