"""The environment variables that the inputs of jobs need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.errors import ConfigError
from orchestrator.model.jobs import Job

SHOWN = 5


def require_secrets(jobs: Iterable[Job], env: Mapping[str, str]) -> None:
    """
    Refuses to start jobs whose inputs cannot be rendered: these jobs would fail for ever.

    Raises:
        ConfigError: the environment lacks a variable; the message names it and the jobs.
    """
    # Only some of these templates need Jinja2.
    from orchestrator.specfile import env_names

    lacking: dict[str, list[str]] = {}
    for job in jobs:
        for name in env_names(job) - env.keys():
            lacking.setdefault(name, []).append(job.key)
    if lacking:
        lines = [f"  {name}: {_listed(keys)}" for name, keys in sorted(lacking.items())]
        raise ConfigError(
            "the environment lacks variables that the inputs of these jobs need; set them, then "
            "try again. Nothing was started.\n" + "\n".join(lines)
        )


def _listed(keys: list[str]) -> str:
    more = len(keys) - SHOWN
    return ", ".join(keys[:SHOWN]) + (f" and {more} more" if more > 0 else "")
