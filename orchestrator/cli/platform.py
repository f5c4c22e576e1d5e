"""
`orchestrator platform serve` and `platform build`: the local platform by itself.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli.common import given_path

if TYPE_CHECKING:
    from orchestrator.platform import PlatformOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    The command's own commands and their options.
    """
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    serve = commands.add_parser(
        "serve",
        help="serve the Apify API on loopback until stopped",
        description="Serve the Apify API until stopped. The first line on stdout is a JSON object "
        "with url and token.",
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    serve.add_argument("--port", type=int, default=0, metavar="N", help="port (a free one)")
    serve.add_argument("--token", metavar="T", help="the token to ask for (a random one)")
    serve.add_argument("--max-runs", type=int, metavar="N", help="the account's runs at once")
    serve.add_argument(
        "--max-memory-mbytes", type=int, metavar="N", help="the account's memory in use at once"
    )
    serve.add_argument(
        "--sync-wait-secs", type=float, metavar="S", help="how long run-sync is held (300)"
    )
    serve.add_argument(
        "--faults", type=Path, metavar="FILE", help="misbehave as this JSON file says, for tests"
    )
    serve.set_defaults(run=_serve)
    build = commands.add_parser(
        "build",
        help="build the environments of Actors, so that later runs need no network",
        description="Build the environments of Actors, so that later runs need no network.",
    )
    build.set_defaults(run=_build)
    for command in (serve, build):
        command.add_argument(
            "--actors", metavar="DIR", type=given_path, action="append", default=[],
            help="a folder of Actors",
        )  # fmt: skip
        command.add_argument(
            "--data", metavar="DIR", type=given_path, default=Path("output/.platform"),
            help="where storages are (output/.platform)",
        )  # fmt: skip
    parser.set_defaults(json=False)


def call(options: argparse.Namespace) -> int:
    """
    Runs the command.
    """
    from orchestrator.cli.event_loop import in_event_loop

    code: int = in_event_loop(options.run, options)
    return code


async def _serve(options: argparse.Namespace) -> int:
    import json

    import anyio

    from orchestrator.app.signals import listening
    from orchestrator.platform import serve_platform

    is_told = anyio.Event()
    with listening(lambda _: is_told.set()):
        async with serve_platform(_platform_options(options)) as platform:
            place = {"url": platform.url, "token": platform.token.get_secret_value()}
            print(json.dumps(place), flush=True)
            await is_told.wait()
    return 0


async def _build(options: argparse.Namespace) -> int:
    from orchestrator.platform import build_actor_envs

    await build_actor_envs(_platform_options(options))
    return 0


def _platform_options(options: argparse.Namespace) -> PlatformOptions:
    from pydantic import SecretStr

    from orchestrator.descriptors import original_limit
    from orchestrator.platform import PlatformOptions, load_faults

    faults = getattr(options, "faults", None)
    names = ("host", "port", "max_runs", "max_memory_mbytes", "sync_wait_secs")
    given = {name: value for name in names if (value := getattr(options, name, None)) is not None}
    # A token on the command line can be read by others on the machine; the variable cannot.
    token = getattr(options, "token", None) or os.environ.get("ORCHESTRATOR_PLATFORM_TOKEN")
    return PlatformOptions(
        data_dir=options.data,
        actors_dirs=tuple(options.actors),
        token=SecretStr(token) if token else None,
        faults=load_faults(faults) if faults else None,
        open_files=original_limit(),
        **given,
    )
