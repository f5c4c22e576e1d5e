"""What started this program: a person at a terminal, or which kind of supervisor."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress

# The first that is set decides. The variables of an Actions runner or of Airflow are set in
# Kubernetes too, where only the second list would tell it apart from a person.
SCHEDULERS = {
    "AIRFLOW_CTX_DAG_ID": "airflow",
    "GITHUB_ACTIONS": "github-actions",
    "GITLAB_CI": "gitlab-ci",
    "CI": "ci",
}
SUPERVISORS = {"KUBERNETES_SERVICE_HOST": "kubernetes", "INVOCATION_ID": "systemd"}
"""A person's own terminal may inherit these variables."""

TERMINAL = "terminal"
UNATTENDED = "no terminal"


def caller_of(environment: Mapping[str, str], *, is_terminal: bool) -> str:
    """The caller in a word or two, as far as the environment shows it."""
    for name, caller in SCHEDULERS.items():
        if environment.get(name):
            return caller
    if is_terminal:
        return TERMINAL
    for name, caller in SUPERVISORS.items():
        if environment.get(name):
            return caller
    return UNATTENDED


def has_terminal() -> bool:
    """Whether standard input, output or error is a terminal."""
    for handle in range(3):
        with suppress(OSError):
            if os.isatty(handle):
                return True
    return False
