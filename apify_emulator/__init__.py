"""
An emulator of the Apify API: a server on loopback that runs Actors as processes, or simulates them.

It is an independent reading of the API and shares no code with any client, because one misreading
on both sides would hide itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apify_emulator.errors import AddressUnavailable, DataFolderInUse, EmulatorError, SetupError
    from apify_emulator.faults import FaultKind, FaultRule, Faults, load_faults
    from apify_emulator.http.answers import Answered
    from apify_emulator.options import EmulatorOptions
    from apify_emulator.processes.actor_environments import build_actor_envs
    from apify_emulator.server.address import read_address
    from apify_emulator.server.emulator import Emulator, serve_emulator
    from apify_emulator.testing.background import running_emulator
    from apify_emulator.testing.handle import EmulatorHandle

__all__ = [
    "AddressUnavailable",
    "Answered",
    "DataFolderInUse",
    "Emulator",
    "EmulatorError",
    "EmulatorHandle",
    "EmulatorOptions",
    "FaultKind",
    "FaultRule",
    "Faults",
    "SetupError",
    "build_actor_envs",
    "load_faults",
    "read_address",
    "running_emulator",
    "serve_emulator",
]

_MODULES = {
    "errors": ("AddressUnavailable", "DataFolderInUse", "EmulatorError", "SetupError"),
    "faults": ("FaultKind", "FaultRule", "Faults", "load_faults"),
    "http.answers": ("Answered",),
    "options": ("EmulatorOptions",),
    "processes.actor_environments": ("build_actor_envs",),
    "server.address": ("read_address",),
    "server.emulator": ("Emulator", "serve_emulator"),
    "testing.background": ("running_emulator",),
    "testing.handle": ("EmulatorHandle",),
}


def __getattr__(name: str) -> object:
    """Imports a public name when it is used: `--help` must not wait for the HTTP library."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
