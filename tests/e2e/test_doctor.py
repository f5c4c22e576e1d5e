"""What `orchestrator doctor` finds before the first batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.command import Command, sweep
from tests.support.receivers import receiver

NOTIFY = '[notify]\nurls = ["{{ env.ALERT_URL }}"]\nping_url = "{{ env.PING_URL }}"\n'


def checks_of(command: Command, *words: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """The exit code, and the findings by their subject."""
    done = command.run("doctor", *words, "--json")
    found: dict[str, list[dict[str, Any]]] = {}
    for check in done.json["checks"]:
        found.setdefault(check["about"], []).append(check)
    return done.code, found


def test_doctor_finds_nothing_wrong_and_sends_a_test(command: Command) -> None:
    """The notifications of a spec are sent as a test, so their arrival is known in advance."""
    pytest.importorskip("apprise", reason="the extra `notify` is not installed")
    command.write("s.toml", sweep("night", jobs=2) + NOTIFY)
    with receiver() as web:
        urls = {"ALERT_URL": web.notify_url, "PING_URL": web.url}
        code, found = checks_of(
            replace(command, variables={**command.variables, **urls}), "s.toml", "--notify"
        )
        assert code == 0
        assert {"versions", "disk", "token", "limits", "clock", "spec"} <= found.keys()
        assert len(found["notify"]) == 2
        assert (web.titles, web.pings) == (["orchestrator: a test"], ["log"])


def test_doctor_says_what_is_wrong_and_what_to_do(command: Command) -> None:
    """Each problem has advice, no secret is shown, and the exit code says that there is one."""
    command.write("s.toml", sweep("night").replace("matrix", "matrixx") + NOTIFY)
    wrong = {
        "APIFY_TOKEN": "not-a-token",
        "ALERT_URL": "json://me:pass-9d3e@127.0.0.1:9/hook-77aa",
        "PING_URL": "http://127.0.0.1:9/key-5c1f0a77",
    }
    command = replace(command, variables={**command.variables, **wrong})
    code, found = checks_of(command, "s.toml", "--notify")
    assert code == 1
    problems = {about for about, checks in found.items() if checks[0]["state"] == "problem"}
    assert {"token", "spec", "notify"} <= problems
    assert all(check["advice"] for about in problems for check in found[about])
    for secret in ("not-a-token", "pass-9d3e", "hook-77aa", "key-5c1f0a77"):
        assert secret not in str(found)


def test_doctor_works_without_a_token_and_with_a_wrong_setting(command: Command) -> None:
    """It works in spite of the problems that stop every other command."""
    code, found = checks_of(replace(command, variables={}))
    assert (code, found["token"][0]["state"]) == (1, "problem")
    code, found = checks_of(replace(command, variables={"ORCHESTRATOR_MAX_RUNS": "many"}))
    assert (code, found["settings"][0]["state"]) == (1, "problem")


def test_doctor_asks_the_server_of_the_ledger(command: Command, postgres_url: str) -> None:
    """Without it no command works, so one that cannot be reached is a problem."""
    there = replace(command, variables={**command.variables, "ORCHESTRATOR_LEDGER": postgres_url})
    code, found = checks_of(there)
    assert (code, found["ledger"][0]["state"]) == (0, "ok")
    code, found = checks_of(there, "--ledger", "postgresql://me:pass-9d3e@127.0.0.1:9/batches")
    assert (code, found["ledger"][0]["state"]) == (1, "problem")
    assert "pass-9d3e" not in str(found)
