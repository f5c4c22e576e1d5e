"""A job of a batch that is made in Python: the fields of `[[jobs]]` in a spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from os import PathLike
from typing import Any, Literal

Fields = Mapping[str, Any]
"""A table of a spec, by the names of its fields; see the reference of the spec."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """
    A job, or with `matrix` the jobs of a sweep; None leaves a field out.

    Each field means what it means in a spec, and text with `{{ }}` is a template, as in a spec.
    Files are relative to the working folder.
    """

    name: str
    actor: str | None = None
    task: str | None = None
    input: Fields | str | None = None
    matrix: Fields | None = None
    mode: Literal["async", "sync"] | None = None
    input_file: str | PathLike[str] | None = None
    input_content_type: str | None = None
    timeout_secs: int | str | None = None
    memory_mbytes: int | str | None = None
    max_items: int | str | None = None
    max_total_charge_usd: Decimal | float | str | None = None
    restart_on_error: bool | str | None = None
    build: str | None = None
    webhooks: Sequence[Fields] | None = None
    force_permission_level: Literal["LIMITED_PERMISSIONS", "FULL_PERMISSIONS"] | None = None
    output_record_key: str | None = None
    wait_for_finish_secs: int | str | None = None
    retries: int | str | None = None
    priority: int | str | None = None
    rules: Sequence[Fields] | None = None
    expect: Fields | None = None
    abort_after_factor: float | None = None
    pools: Sequence[str] | None = None
    tags: Sequence[str] | None = None
    needs: Sequence[str] | None = None
    reuse: str | None = None
    collect: Fields | None = None

    def table(self) -> dict[str, Any]:
        """Its `[[jobs]]` table."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in given.items() if value is not None}
