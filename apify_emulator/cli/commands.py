"""`serve` and `build`: what they do and print."""

from __future__ import annotations

import json
import sys

import anyio

from apify_emulator.options import EmulatorOptions
from apify_emulator.processes.actor_environments import build_actor_envs
from apify_emulator.server.emulator import serve_emulator


async def serve(options: EmulatorOptions, stop: anyio.Event) -> None:
    """
    Serves the API until `stop` is set; prints the URL and the token first.

    Raises:
        EmulatorError: see `serve_emulator`.
    """
    async with serve_emulator(options) as emulator:
        place = {"url": emulator.url, "token": emulator.token.get_secret_value()}
        print(json.dumps(place), flush=True)
        await stop.wait()


async def build(options: EmulatorOptions) -> None:
    """
    Builds the environments of all Actors; prints to stderr which one is being built.

    Raises:
        SetupError: an Actor cannot be read or built.
    """

    def report(actor: str) -> None:
        print(f"building the environment of {actor}, which can take minutes", file=sys.stderr)

    await build_actor_envs(options, report)
