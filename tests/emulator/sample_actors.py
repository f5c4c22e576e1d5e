"""Small Actors without dependencies, written into a folder of the test."""

from __future__ import annotations

import os
from pathlib import Path
from textwrap import dedent
from typing import Any

import orjson

# The prelude of every Actor: plain calls of the API, as an SDK would make them.
PRELUDE = """
import json, os, signal, sys, time, urllib.request

def api(method, path, body=None):
    request = urllib.request.Request(
        os.environ["APIFY_API_BASE_URL"] + "/v2/" + path, method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": "Bearer " + os.environ["APIFY_TOKEN"],
                 "Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return answer.read()

RUN = os.environ["ACTOR_RUN_ID"]
STORE = "key-value-stores/" + os.environ["ACTOR_DEFAULT_KEY_VALUE_STORE_ID"]

def push(item):
    api("POST", "datasets/" + os.environ["ACTOR_DEFAULT_DATASET_ID"] + "/items", item)

def say(message):
    api("PUT", "actor-runs/" + RUN, {"runId": RUN, "statusMessage": message})
"""


def write_actor(folder: Path, name: str, code: str, **definition: Any) -> Path:
    """Writes an Actor that runs `code`, and returns the folder of Actors."""
    place = folder / name
    (place / ".actor").mkdir(parents=True, exist_ok=True)
    described = {"actorSpecification": 1, "name": name, "version": "0.1", **definition}
    (place / ".actor" / "actor.json").write_bytes(orjson.dumps(described))
    (place / "main.py").write_text(PRELUDE + dedent(code))
    return folder


def write_node_actor(folder: Path, name: str) -> Path:
    """Writes an Actor whose environment `npm` builds, and returns the folder of Actors."""
    write_actor(folder, name, "")
    (folder / name / "main.py").unlink()
    (folder / name / "package.json").write_text("{}")
    return folder


def write_npm(folder: Path, script: str) -> str:
    """Writes a shell script that stands for `npm`, and returns a `PATH` that finds it first."""
    npm = folder / "npm"
    npm.parent.mkdir()
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def process_lives(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
