"""What started this program: a person at a terminal, or which kind of supervisor."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

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

CRON = frozenset({"cron", "crond", "supercronic"})
"""Names of processes; cron sets no variable of its own."""

MOST_ANCESTORS = 8
TERMINAL = "terminal"
UNATTENDED = "no terminal"


def caller_of(
    environment: Mapping[str, str], *, is_terminal: bool, ancestors: Iterable[str] = ()
) -> str:
    """
    The caller in a word or two, as far as the environment shows it.

    Args:
        ancestors: the names of the processes that called this one.
    """
    for name, caller in SCHEDULERS.items():
        if environment.get(name):
            return caller
    if is_terminal:
        return TERMINAL
    # Before systemd, which may have started cron itself.
    if not CRON.isdisjoint(ancestors):
        return "cron"
    for name, caller in SUPERVISORS.items():
        if environment.get(name):
            return caller
    return UNATTENDED


def caller() -> str:
    """The caller of this process in a word or two."""
    ancestors = ancestors_of_this_process()
    return caller_of(os.environ, is_terminal=has_terminal(), ancestors=ancestors)


def ancestors_of_this_process() -> Iterator[str]:
    """The names of the processes that called this one, the nearest first, as far as /proc tells."""
    pid = os.getppid()
    for _ in range(MOST_ANCESTORS):
        try:
            # The name is in parentheses and may hold any character, so the last one ends it.
            head, _, rest = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")
            yield head.partition("(")[2]
            pid = int(rest.split()[1])
        except (OSError, ValueError, IndexError):
            return


def has_terminal() -> bool:
    """Whether standard input, output or error is a terminal."""
    for handle in range(3):
        with suppress(OSError):
            if os.isatty(handle):
                return True
    return False
