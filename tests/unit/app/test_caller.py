"""What started the program."""

from __future__ import annotations

import pytest

from orchestrator.app.setup.caller import caller_of


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
