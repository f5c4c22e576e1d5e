"""
Reads a spec, checks it, and expands it to jobs.

The names below are imported on first use, so that a program that needs one small module does not
import pydantic's models.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.specfile.editor_schema import spec_schema
    from orchestrator.specfile.expansion import expand
    from orchestrator.specfile.jobs.job_input import env_names, render_input
    from orchestrator.specfile.load import LoadedSpec, load_spec

__all__ = ["LoadedSpec", "env_names", "expand", "load_spec", "render_input", "spec_schema"]

HOMES = {
    "LoadedSpec": "load",
    "env_names": "jobs.job_input",
    "expand": "expansion",
    "load_spec": "load",
    "render_input": "jobs.job_input",
    "spec_schema": "editor_schema",
}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
