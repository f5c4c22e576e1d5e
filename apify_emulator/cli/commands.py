"""`serve` and `build`: what they do and print."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import anyio

from apify_emulator.options import EmulatorOptions
from apify_emulator.processes.actor_environments import build_actor_envs
from apify_emulator.server.emulator import serve_emulator


async def serve(options: EmulatorOptions, stop: anyio.Event) -> None:
    """
    Serves the API until `stop` is set; prints the URL and the token first.

    Builds of environments are reported on stderr.

    Raises:
        EmulatorError: see `serve_emulator`.
    """
    async with serve_emulator(replace(options, report=_report)) as emulator:
        place = {"url": emulator.url, "token": emulator.token.get_secret_value()}
        print(json.dumps(place), flush=True)
        await stop.wait()


async def build(options: EmulatorOptions) -> None:
    """
    Builds the environments of all Actors; reports each build on stderr.

    Raises:
        SetupError: an Actor cannot be read or built.
    """
    await build_actor_envs(replace(options, report=_report))


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
