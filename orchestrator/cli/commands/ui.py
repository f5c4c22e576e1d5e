"""`orchestrator ui`: serves a web page of all batches on loopback until it is stopped."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from pathlib import Path

import anyio
from pydantic import SecretStr

from orchestrator.app.setup.settings_sources import UI_TOKEN
from orchestrator.app.setup.signals import listening
from orchestrator.cli.command_settings import settings_of
from orchestrator.cli.event_loop import in_event_loop
from orchestrator.errors import ConfigError
from orchestrator.safe_text import SECRETS
from orchestrator.ui.server import serve_pages

SHORTEST = 16


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    in_event_loop(_serve, settings_of(options).output, options.port, options.json)
    return 0


def _token() -> SecretStr:
    """
    The token of the page: a random one, or that of the environment, which a scraper knows.

    Raises:
        ConfigError: it is too short.
    """
    given = os.environ.get(UI_TOKEN)
    if not given:
        return SecretStr(secrets.token_urlsafe(24))
    if len(given) < SHORTEST or not given.isascii() or not given.isprintable():
        raise ConfigError(f"{UI_TOKEN} must have at least {SHORTEST} printable ASCII characters")
    SECRETS.add(given, shortest=SHORTEST)
    return SecretStr(given)


async def _serve(output: Path, port: int, as_json: bool) -> None:
    stop = anyio.Event()
    token = _token()
    with listening(lambda _: stop.set()):
        async with serve_pages(output, port, token) as url:
            print(json.dumps({"url": url}) if as_json else url, flush=True)
            sys.stderr.write("read only, for this machine; Ctrl-C ends it\n")
            await stop.wait()
