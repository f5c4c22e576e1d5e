"""The addresses of Actors, tasks and runs, as people copy them from a browser or a program."""

from __future__ import annotations

import re
from typing import Literal

ResourceKind = Literal["actor", "task"]

_NAME = r"([\w.~-]+)"
_REST = r"(?:[/?#].*)?"
_CONSOLE = r"https?://console\.apify\.com/(?:organization/[^/]+/)?"
_API = r"https?://api\.apify\.com/v2/"
_OF_RUNS = (
    re.compile(rf"{_CONSOLE}(?:view|actors(?:/tasks)?(?:/[^/]+)?)/runs/{_NAME}{_REST}", re.ASCII),
    re.compile(rf"{_API}(?:actor-runs|act(?:or)?s/[^/]+/runs)/{_NAME}{_REST}", re.ASCII),
)
_OF_ACTORS_AND_TASKS: tuple[tuple[ResourceKind, re.Pattern[str]], ...] = (
    ("task", re.compile(rf"{_CONSOLE}(?:actors/)?tasks/{_NAME}{_REST}", re.ASCII)),
    ("actor", re.compile(rf"{_CONSOLE}actors/(?!runs/){_NAME}{_REST}", re.ASCII)),
    ("task", re.compile(rf"{_API}actor-tasks/{_NAME}{_REST}", re.ASCII)),
    ("actor", re.compile(rf"{_API}act(?:or)?s/{_NAME}{_REST}", re.ASCII)),
    ("actor", re.compile(rf"https?://(?:www\.)?apify\.com/{_NAME}/{_NAME}{_REST}", re.ASCII)),
)


def is_address(text: str) -> bool:
    """Whether a text looks like an address, which no id and no name does."""
    return "://" in text


def resource_at(address: str) -> tuple[ResourceKind, str] | None:
    """The kind of an Actor or a task, and its id or name; the page of its run names it too."""
    for kind, pattern in _OF_ACTORS_AND_TASKS:
        if found := pattern.fullmatch(address):
            return kind, "/".join(found.groups()).replace("~", "/")
    return None


def run_at(address: str) -> str | None:
    """The id of a run."""
    matches = (pattern.fullmatch(address) for pattern in _OF_RUNS)
    return next((found[1] for found in matches if found), None)
