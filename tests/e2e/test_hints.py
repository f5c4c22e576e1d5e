from __future__ import annotations

import re
import shlex
import signal
from pathlib import Path

import pytest

from tests.support.command import Command, ServedPlatform, sweep, wait_until

HINT = re.compile(
    r"`(orchestrator [^`]+)`|(?<!`)\borchestrator (?:resume|retry|abort|export|collect) .*"
)
FAILING = sweep("failing", jobs=2, duration_secs=0.01, items=1, outcome="FAILED")
DEAR = sweep(
    "dear", jobs=3, batch="max_cost_usd = 0.5\nmax_runs = 1", job="max_total_charge_usd = 0.4",
    duration_secs=0.01, items=1, cost_usd=0.3,
)  # fmt: skip
LONG = sweep("long", jobs=2, duration_secs=60, items=1)


def hints(text: str) -> list[str]:
    """The commands that messages name."""
    return list(dict.fromkeys((found[1] or found[0]).strip() for found in HINT.finditer(text)))


@pytest.fixture
def elsewhere(tmp_path: Path, platform: ServedPlatform) -> Command:
    """A command whose batches are in a folder that a shell would take for several words."""
    folder = "my $HOME's batches"
    return Command(
        folder=tmp_path, variables={**platform.variables(), "ORCHESTRATOR_OUTPUT": folder}
    )


def test_commands_that_messages_name_can_be_pasted(elsewhere: Command) -> None:
    """Each command that `run`, `status`, `collect` and `verify` name works as a shell reads it."""
    elsewhere.write("failing.toml", FAILING)
    elsewhere.write("dear.toml", DEAR)
    elsewhere.write("long.toml", LONG)
    said = [elsewhere.run("run", "failing.toml"), elsewhere.run("run", "dear.toml")]
    process = elsewhere.start("run", "long.toml")
    output = elsewhere.folder / elsewhere.variables["ORCHESTRATOR_OUTPUT"]
    ledger = output / "long" / "latest" / "log.jsonl"
    wait_until(lambda: ledger.exists() and "run_started" in ledger.read_text(), "a run")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    (output / "dear" / "latest" / "jobs" / "job-1" / "items.jsonl").unlink()
    said += [
        elsewhere.run("status", "long"),
        elsewhere.run("status", "long", "--why", "job-1"),
        elsewhere.run("collect", "long"),
        elsewhere.run("verify", "dear"),
        elsewhere.run("export", "dear", "--format", "csv"),
    ]
    found = hints("\n".join([out, err, *(text for done in said for text in (done.out, done.err))]))
    names = {shlex.split(hint)[1] for hint in found}
    assert names == {"retry", "resume", "abort", "export", "collect"}, found
    # What ends the interrupted batch comes first.
    for hint in sorted(found, key=lambda hint: "abort" not in hint):
        words = shlex.split(hint)
        done = elsewhere.run(*words[1:])
        assert done.code in {0, 1, 3}, f"{hint}: {done.err}"
