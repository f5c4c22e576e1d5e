"""
The embedded local platform: an Apify-compatible server on loopback.

It is an independent reading of the API and shares no code with the client, so that one
misunderstanding cannot hide on both sides. It runs Actors as subprocesses, or simulates them.
"""

from __future__ import annotations

from orchestrator.platform.addresses import read_address
from orchestrator.platform.environments import build_actor_envs
from orchestrator.platform.faults import FaultKind, FaultRule, Faults, load_faults
from orchestrator.platform.messages import Answered
from orchestrator.platform.options import PlatformOptions
from orchestrator.platform.server import LocalPlatform, serve_platform

__all__ = [
    "Answered",
    "FaultKind",
    "FaultRule",
    "Faults",
    "LocalPlatform",
    "PlatformOptions",
    "build_actor_envs",
    "load_faults",
    "read_address",
    "serve_platform",
]
