"""Specs for tests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from orchestrator.errors import SpecError
from orchestrator.model.jobs import Job
from orchestrator.specfile import expand, load_spec

MINIMAL = """\
[batch]
name = "nightly"

[[jobs]]
name = "one"
actor = "me/actor"
"""


def write_spec(folder: Path, text: str = MINIMAL) -> Path:
    """A spec file named `spec.toml`."""
    path = folder / "spec.toml"
    path.write_text(text)
    return path


def jobs_of(
    folder: Path,
    text: str = MINIMAL,
    *,
    params: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
) -> list[Job]:
    """The jobs that a spec gives, expanded on 25 November 2026."""
    loaded = load_spec(write_spec(folder, text))
    return list(expand(loaded, params=params or {}, env=env or {}, today=date(2026, 11, 25)))


def mistakes_of(folder: Path, text: str, *, env: Mapping[str, str] | None = None) -> list[str]:
    """The messages about a spec, without the folder and excerpts; empty if the spec is valid."""
    try:
        jobs_of(folder, text, env=env)
    except SpecError as error:
        said = [str(mistake).replace(f"{folder}/", "") for mistake in error.mistakes]
        more = error.total - len(said)
        return [*said, *([f"… and {more} more mistakes"] if more else [])]
    return []
