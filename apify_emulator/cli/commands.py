"""What each command does and prints."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace

import anyio
from pydantic import SecretStr

from apify_emulator.cli.stand_in_arguments import facts_of, sample_files, target_of
from apify_emulator.errors import SetupError
from apify_emulator.options import EmulatorOptions
from apify_emulator.processes.actor_environments import build_actor_envs
from apify_emulator.server.emulator import serve_emulator
from apify_emulator.stand_ins.real_runs import API_URL, real_runs
from apify_emulator.stand_ins.sample_files import sample_run, schema_of
from apify_emulator.stand_ins.stand_in_files import write_stand_in


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


def add(arguments: argparse.Namespace) -> None:
    """
    Adds a stand-in from files; prints its folder.

    Raises:
        SetupError: a file cannot be used, or the stand-in cannot be written.
    """
    files = sample_files(arguments)
    schema = schema_of(files["schema"]) if "schema" in files else None
    run = sample_run(files, facts_of(arguments))
    print(write_stand_in(target_of(arguments), arguments.actor, run, schema=schema))


async def record(arguments: argparse.Namespace) -> None:
    """
    Reads real runs and adds them to stand-ins; prints a line for each.

    Raises:
        SetupError: there is no token, a run cannot be read, or a file cannot be written.
    """
    token = os.environ.get("APIFY_TOKEN")
    if not token:
        raise SetupError("record needs your Apify token in the variable APIFY_TOKEN")
    url = arguments.api_url or os.environ.get("APIFY_API_BASE_URL") or API_URL
    async with real_runs(SecretStr(token), url) as reader:
        for run_id in arguments.runs:
            run = await reader.run(run_id)
            name, definition = await reader.actor(run)
            folder = write_stand_in(
                target_of(arguments),
                name,
                await reader.contents(run, arguments.duration),
                schema=await reader.schema(run),
                definition=definition,
            )
            print(f"{name} {run_id} {folder}", flush=True)


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
