"""What an Actor is, with its only build."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Apify allows powers of two from 128 to 32768 megabytes.
MEMORY_STEPS = frozenset(128 << step for step in range(9))
DEFAULT_MEMORY_MBYTES = 1024
DEFAULT_TIMEOUT_SECS = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """
    One Actor and its only build.

    Attributes:
        full_name: `username/name`.
        folder: the Actor's sources; None for a simulated one.
        version: as `actor.json` has it, such as `0.1`.
        input_schema: None without a schema.
        simulation: default input of a simulated Actor; None for a real one.
        is_stand_in: whether its runs are played from the recordings in its folder.
        pricing_infos: in the form of the API, oldest first.
        changed: when its files changed, to see an edit.
    """

    full_name: str
    folder: Path | None = None
    title: str | None = None
    description: str | None = None
    version: str = "0.1"
    build_tag: str = "latest"
    definition: dict[str, Any] = field(default_factory=dict)
    input_schema: dict[str, Any] | None = None
    memory_mbytes: int = DEFAULT_MEMORY_MBYTES
    timeout_secs: int = DEFAULT_TIMEOUT_SECS
    restart_on_error: bool = False
    max_items: int | None = None
    environment: dict[str, str] = field(default_factory=dict)
    simulation: dict[str, Any] | None = None
    is_stand_in: bool = False
    pricing_infos: tuple[dict[str, Any], ...] = ()
    changed: tuple[int, ...] = ()
    id: str = ""
    build_id: str = ""

    @property
    def username(self) -> str:
        """The owner of the Actor."""
        return self.full_name.partition("/")[0]

    @property
    def name(self) -> str:
        """The name without its owner."""
        return self.full_name.partition("/")[2]

    @property
    def build_number(self) -> str:
        """Three numbers, as Apify's builds have them."""
        return f"{self.version}.1"
