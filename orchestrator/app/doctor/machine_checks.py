"""Checks of this machine: versions, extras, the output folder, the disk, open files."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from orchestrator.app.doctor.findings import Finding, problem, warning
from orchestrator.app.setup.process_limits import CURE, capacity
from orchestrator.app.setup.settings import Settings
from orchestrator.errors import ConfigError
from orchestrator.extras import DISTRIBUTION, LIBRARIES_OF_EXTRAS, Extra
from orchestrator.report.lines import size
from orchestrator.version import __version__

LOW_BYTES = 2 * 1000**3
FULL_BYTES = 100 * 1000**2
FEW_RUNS = 32
LIBRARIES = ("aiohttp", "anyio", "pydantic", "structlog")


def check_machine(settings: Settings) -> Iterator[Finding]:
    """All checks of the machine."""
    yield _versions()
    yield _extras()
    yield from check_output(settings.output)
    yield _open_files(settings)


def _versions() -> Finding:
    libraries = ", ".join(f"{name} {_version_of(name)}" for name in LIBRARIES)
    return Finding(
        about="versions",
        found=f"orchestrator {__version__}, Python {sys.version.split()[0]} on "
        f"{platform.system()} {platform.release()}, {libraries}",
    )


def _version_of(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "?"


def _extras() -> Finding:
    missing = [extra for extra in Extra if find_spec(LIBRARIES_OF_EXTRAS[extra]) is None]
    if not missing:
        return Finding(about="extras", found="all are installed")
    commands = ", ".join(f"'{DISTRIBUTION}[{extra}]'" for extra in missing)
    return Finding(
        about="extras",
        found=f"not installed: {', '.join(missing)}",
        advice=f"to install those that you need: pip install {commands}",
    )


def check_output(output: Path) -> Iterator[Finding]:
    """Whether the output folder can be written and locked, and how much space it has."""
    folder = output.absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    shown = str(output) if folder == output.absolute() else f"{output} (to be made in {folder})"
    try:
        _write_and_lock(folder)
    except OSError as error:
        yield problem(
            "output",
            f"{shown}: cannot be written or locked: {error.strerror}",
            "choose another folder with --output, or correct its permissions",
        )
    else:
        yield Finding(about="output", found=f"{shown}: can be written and locked")
    try:
        space = shutil.disk_usage(folder).free
        entries = os.statvfs(folder).f_favail
    except OSError as error:
        yield warning("disk", f"its free space cannot be read: {error.strerror}", "look at it")
        return
    found = f"{size(space)} free"
    advice = "free some space, or remove old batches with `orchestrator prune` or [retention]"
    if space < FULL_BYTES or entries == 0:
        yield problem("disk", found if entries else "no more files can be made", advice)
    elif space < LOW_BYTES:
        yield warning("disk", found, advice)
    else:
        yield Finding(about="disk", found=found)


def _write_and_lock(folder: Path) -> None:
    """Does what a batch does with its folder; leaves nothing behind."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.write(b"0" * 4096)
        file.flush()


def _open_files(settings: Settings) -> Finding:
    try:
        runs = capacity(settings.max_downloads, is_local=False).max_runs
    except ConfigError as error:
        return problem("open files", str(error), CURE)
    found = f"enough for {runs:,} runs at once"
    return (
        warning("open files", found, CURE)
        if runs < FEW_RUNS
        else Finding(about="open files", found=found)
    )
