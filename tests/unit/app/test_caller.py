"""How the program was started."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.app.setup.caller import ancestors_of_this_process, caller_of


@pytest.mark.parametrize(
    ("environment", "is_terminal", "caller"),
    [
        ({}, True, "terminal"),
        ({}, False, "no terminal"),
        ({"INVOCATION_ID": "8f"}, False, "systemd"),
        ({"INVOCATION_ID": "8f"}, True, "terminal"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, False, "kubernetes"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "AIRFLOW_CTX_DAG_ID": "d"}, False, "airflow"),
        ({"GITHUB_ACTIONS": "true", "CI": "true"}, False, "github-actions"),
        ({"CI": ""}, False, "no terminal"),
    ],
)
def test_caller_is_named_by_the_environment(
    environment: dict[str, str], is_terminal: bool, caller: str
) -> None:
    """A supervisor is recognised by the variables that it sets, and a person by the terminal."""
    assert caller_of(environment, is_terminal=is_terminal) == caller


def test_cron_is_named_by_its_process() -> None:
    """Cron sets no variable, but it is among the processes that called this one."""
    ancestors = ["sh", "cron", "cron", "systemd"]
    environment = {"INVOCATION_ID": "8f"}
    assert caller_of(environment, is_terminal=False, ancestors=ancestors) == "cron"
    assert caller_of(environment, is_terminal=True, ancestors=ancestors) == "terminal"


def test_processes_that_called_this_one_are_named() -> None:
    """The nearest one is the process that started the tests."""
    name = Path(f"/proc/{os.getppid()}/comm")
    if not name.exists():
        pytest.skip("this system has no /proc")
    assert next(ancestors_of_this_process()) == name.read_text().rstrip("\n")
