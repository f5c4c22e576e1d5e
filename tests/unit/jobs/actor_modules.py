"""Loads a sample Actor's modules under other names, because all of them are called `src`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

ACTORS = Path(__file__).parents[3] / "jobs" / "actors"


@contextmanager
def actor_module(
    actor: str, module: str, stand_ins: Mapping[str, ModuleType] | None = None
) -> Iterator[ModuleType]:
    """Loads a module of an Actor; its imports of the names in `stand_ins` give those values."""
    package = actor.replace("-", "_")
    folder = ACTORS / actor / "src"
    found = spec_from_file_location(
        package, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert found is not None
    with patch.dict(sys.modules, {**(stand_ins or {}), package: module_from_spec(found)}):
        yield import_module(f"{package}.{module}")
