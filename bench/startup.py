"""How long a whole process takes from its start to its first request."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.measuring import workplace

SPEC = """
[batch]
name = "startup"
[[jobs]]
name = "job-{{ n }}"
actor = "me/actor"
input = { n = "{{ n }}" }
matrix = { n = { range = [1, 100] } }
"""


def run(rounds: int) -> str:
    """Starts processes one after the other and returns the figures as Markdown."""
    ours, library = [], []
    with workplace() as folder:
        (folder / "spec.toml").write_text(SPEC)
        _until_request(folder)
        for _ in range(rounds):
            ours.append(_until_request(folder))
            library.append(_until_end(["-c", "import aiohttp"]))
    first, second = statistics.median(ours), statistics.median(library)
    return "\n".join(
        [
            f"`run` with a spec of 100 jobs, until its first request arrives; median of {rounds}.",
            "",
            "| | seconds |",
            "| --- | ---: |",
            f"| orchestrator, to its first request | {first:.2f} |",
            f"| Python that imports aiohttp and ends, for the machine's speed | {second:.2f} |",
        ]
    )


def _until_request(folder: Path) -> float:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        variables = {"APIFY_TOKEN": "none-needed", "APIFY_API_BASE_URL": url}
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator", "run", "spec.toml"],
            cwd=folder,
            env={**os.environ, **variables, "PYTHONPATH": str(Path(__file__).parents[1])},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            server.settimeout(30)
            connection, _ = server.accept()
            with connection:
                assert connection.recv(1)
                return time.perf_counter() - began
        finally:
            process.kill()
            process.wait()


def _until_end(words: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True)
    return time.perf_counter() - began
