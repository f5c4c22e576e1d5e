"""What each command does and prints."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import anyio
from pydantic import SecretStr

from apify_emulator.actors.actor_files import folders_without_actors
from apify_emulator.cli.stand_in_arguments import facts_of, sample_files, target_of
from apify_emulator.errors import SetupError
from apify_emulator.options import EmulatorOptions
from apify_emulator.processes.actor_environments import build_actor_envs
from apify_emulator.server.emulator import serve_emulator
from apify_emulator.stand_ins.real_runs import API_URL, real_runs
from apify_emulator.stand_ins.sample_files import sample_run, schema_of
from apify_emulator.stand_ins.stand_in_files import write_stand_in


async def serve(
    options: EmulatorOptions, stop: anyio.Event, *, variables_to: str | None = None
) -> None:
    """
    Serves the API until `stop` is set; prints the URL and the token first.

    Builds of environments are reported on stderr.

    Args:
        variables_to: a file that gets the variables for clients; `-` prints them as shell commands
            instead of the URL and the token.

    Raises:
        EmulatorError: see `serve_emulator`; or the file cannot be written.
    """
    # A folder can be empty at the start, because Actors can be added while it serves.
    for message in folders_without_actors(options.actors_dirs):
        report(f"warning: {message}")
    async with serve_emulator(replace(options, report=report)) as emulator:
        token = emulator.token.get_secret_value()
        variables = emulator.variables
        if variables_to == "-":
            lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
            print("\n".join(lines), flush=True)
        else:
            if variables_to is not None:
                _append(Path(variables_to), variables)
            print(json.dumps({"url": emulator.url, "token": token}), flush=True)
        await stop.wait()


def _append(path: Path, variables: dict[str, str]) -> None:
    try:
        # The token is a secret, so a new file is for its owner only.
        with open(path, "a", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.writelines(f"{name}={value}\n" for name, value in variables.items())
    except OSError as problem:
        raise SetupError(f"{path}: cannot be written: {problem.strerror}") from problem


async def build(options: EmulatorOptions) -> None:
    """
    Builds the environments of all Actors; reports each build on stderr.

    Raises:
        SetupError: an Actor cannot be read or built.
    """
    await build_actor_envs(replace(options, report=report))


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
            schema, storages = await reader.schemas(run)
            folder = write_stand_in(
                target_of(arguments),
                name,
                await reader.contents(run, arguments.duration),
                schema=schema,
                definition={**definition, "storages": storages} if storages else definition,
            )
            print(f"{name} {run_id} {folder}", flush=True)


def report(line: str) -> None:
    """Prints a line about the build of an environment."""
    print(line, file=sys.stderr, flush=True)
