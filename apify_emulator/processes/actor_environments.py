"""
The environment of an Actor, which is built once, and the command that starts its process.

The key of an environment is a digest of its inputs. A build uses another name and renames the
folder when it is complete. A file lock keeps other processes from the same build.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import anyio

from apify_emulator.actors.actor import Actor
from apify_emulator.actors.actor_files import folders_without_actors, load_actors
from apify_emulator.errors import BuildFailed, SetupError
from apify_emulator.options import EmulatorOptions
from apify_emulator.processes.open_file_limit import under_limit
from apify_emulator.processes.python_requirements import Requirements, requirements_of

_LOCK_POLL_SECS = 0.2
_SKIPPED_FOLDERS = frozenset({".git", "node_modules", "__pycache__", "storage", ".venv"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """How to start an Actor's process."""

    argv: tuple[str, ...]
    folder: Path


async def build_actor_envs(options: EmulatorOptions) -> list[Path]:
    """
    Builds the environments of all Actors that are not simulated, so that runs need no network.

    Returns:
        The environments, in the order of the Actors.

    Raises:
        SetupError: an Actor cannot be read or built; the other Actors are built.
    """
    environments = Environments(options)
    empty = folders_without_actors(options.actors_dirs)
    if not options.all_actors_dirs:
        empty = ["there is no Actor to build; name a folder of Actors with --actors DIR"]
    if empty:
        raise SetupError("\n".join(empty))
    built: list[Path] = []
    failures: list[str] = []
    try:
        for actor in load_actors(options.all_actors_dirs):
            if actor.folder is None or actor.simulation is not None:
                continue
            try:
                command = await environments.command(actor)
            except BuildFailed as problem:
                failures.append(f"{actor.full_name}: {problem}")
            else:
                built.append(Path(command.argv[0]).parent.parent)
    except SetupError as problem:
        failures.append(str(problem))
    if failures:
        raise SetupError("\n".join(failures))
    return built


class Environments:
    """The environments under one folder."""

    def __init__(self, options: EmulatorOptions) -> None:
        self._folder = options.environments
        self._open_files = options.open_files
        self._report = options.report or (lambda _: None)

    async def command(self, actor: Actor) -> Command:
        """
        Returns the command of an Actor; builds its environment first if it is missing.

        A cancelled build leaves nothing under the final name.

        Raises:
            BuildFailed: the build failed, or the Actor has no way to start.
        """
        folder = actor.folder
        if folder is None or not folder.is_dir():
            raise BuildFailed(f"the folder of the Actor {actor.full_name} does not exist")
        arguments = _python_entry(folder)
        if arguments is not None:
            environment = await self._python(actor.full_name, folder)
            return Command(argv=(str(environment / "bin" / "python"), *arguments), folder=folder)
        if (folder / "package.json").is_file():
            return await self._node(actor.full_name, folder)
        if _is_script(folder):
            return Command(argv=("bash", "main.sh"), folder=folder)
        raise BuildFailed(
            f"{folder} has no src/__main__.py, <package>/__main__.py, main.py, package.json or "
            "main.sh"
        )

    def log(self, actor: Actor) -> bytes:
        """Returns the log of the build of an Actor's environment."""
        folder = actor.folder
        if folder is None or actor.simulation is not None:
            return b"The Actor has no process, so nothing is built.\n"
        if _is_script(folder):
            return b"The Actor is a shell script, so nothing is built.\n"
        try:
            key = (
                _node_key(folder)
                if _python_entry(folder) is None
                else _python_key(requirements_of(folder))
            )
            return (self._folder / f"{key}.log").read_bytes()
        except BuildFailed as problem:
            return f"{problem}\n".encode()
        except OSError:
            return b"The environment is built when the first run starts.\n"

    def step(self, actor: Actor) -> str:
        """Returns what the build of an Actor does most of the time."""
        folder = actor.folder
        if folder is None or _python_entry(folder) is None:
            return "npm install"
        return _python_step(requirements_of(folder))

    def is_built(self, actor: Actor) -> bool:
        """
        Returns whether an Actor can start at once, without network.

        Raises:
            BuildFailed: its files do not say what it needs.
        """
        if actor.folder is None or _is_script(actor.folder):
            return True
        if _python_entry(actor.folder) is not None:
            return (self._folder / _python_key(requirements_of(actor.folder))).is_dir()
        return (self._folder / _node_key(actor.folder)).is_dir()

    async def _python(self, name: str, folder: Path) -> Path:
        needed = requirements_of(folder)
        key = _python_key(needed)
        has_some = needed is not None
        step = _python_step(needed)
        async with self._build(key, name, step) as fresh:
            if fresh is not None:
                log = self._folder / f"{key}.log"
                log.write_bytes(b"")
                venv = [sys.executable, "-m", "venv", str(fresh)]
                # Without dependencies the environment needs no pip, and its build takes a second.
                await self._tool(venv if has_some else [*venv, "--without-pip"], folder, log)
                if needed is not None:
                    # The file of the Actor itself, because it can name others beside it.
                    requirements = needed.path or fresh / "requirements.txt"
                    if needed.path is None:
                        requirements.write_bytes(needed.text)
                    pip = [str(fresh / "bin" / "python"), "-m", "pip", "install", "--no-input"]
                    pip += ["--disable-pip-version-check", "-r", str(requirements)]
                    await self._tool(pip, folder, log)
                _fix_script_paths(fresh, self._folder / key)
        return self._folder / key

    async def _node(self, name: str, folder: Path) -> Command:
        key = _node_key(folder)
        async with self._build(key, name, "npm install") as fresh:
            if fresh is not None:
                log = self._folder / f"{key}.log"
                log.write_bytes(b"")
                # npm installs into the folder of the package, and the sources must not change.
                shutil.copytree(
                    folder,
                    fresh,
                    dirs_exist_ok=True,
                    ignore=lambda _, names: [name for name in names if name in _SKIPPED_FOLDERS],
                )
                has_lock = (fresh / "package-lock.json").is_file()
                npm = ["npm", "ci" if has_lock else "install", "--no-audit", "--no-fund"]
                await self._tool(npm, fresh, log)
        return Command(argv=("npm", "start", "--silent"), folder=self._folder / key)

    async def _tool(self, argv: list[str], folder: Path, log: Path) -> None:
        """Runs a tool of the build; its output goes to the log."""
        # Variables of this process could change what pip and npm build.
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("APIFY_", "ACTOR_", "ORCHESTRATOR_", "PYTHON", "VIRTUAL_ENV"))
        }
        # A script of a package can call npx, and nobody is there to answer its question.
        environment["npm_config_yes"] = "true"
        with log.open("ab") as output:
            output.write(f"$ {' '.join(argv)}\n".encode())
            output.flush()
            try:
                process = await anyio.open_process(
                    under_limit(argv, self._open_files),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=folder,
                    env=environment,
                )
            except OSError as problem:
                raise BuildFailed(f"{argv[0]} cannot be started: {problem.strerror}") from problem
        async with process:
            code = await process.wait()
        if code != 0:
            raise BuildFailed(
                f"building the environment failed ({Path(argv[0]).name} ended with {code}), "
                f"see {log}: {_last_lines(log)}"
            )

    @asynccontextmanager
    async def _build(self, key: str, name: str, step: str) -> AsyncIterator[Path | None]:
        """
        Gives the folder to build in; None if the environment exists.

        Args:
            name: of the Actor, for the report.
            step: what takes most of the time, for the report.
        """
        target = self._folder / key
        if target.is_dir():
            yield None
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        async with _locked(self._folder / f"{key}.lock"):
            if target.is_dir():
                yield None
                return
            fresh = self._folder / f"{key}.building"
            shutil.rmtree(fresh, ignore_errors=True)
            self._report(
                f"{name}: building its environment once ({step}), which can take minutes; "
                f"log: {self._folder / key}.log"
            )
            began_at = anyio.current_time()
            try:
                yield fresh
                # Only a complete environment gets the final name.
                fresh.rename(target)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
            self._report(f"{name}: built in {anyio.current_time() - began_at:.0f} s")


@asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[None]:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Another process can hold the lock for minutes. It is polled, because a thread that waits
        # in the kernel cannot be cancelled.
        while not _try_lock(file):  # noqa: ASYNC110 - no event comes from other processes
            await anyio.sleep(_LOCK_POLL_SECS)
        yield
    finally:
        os.close(file)


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _python_entry(folder: Path) -> tuple[str, ...] | None:
    if (folder / "src" / "__main__.py").is_file():
        return ("-m", "src")
    for package in sorted(folder.glob("*/__main__.py")):
        return ("-m", package.parent.name)
    if (folder / "main.py").is_file():
        return ("main.py",)
    return None


def _is_script(folder: Path) -> bool:
    """Returns whether an Actor is a shell script, as Apify's template for its CLI is."""
    is_program = _python_entry(folder) is not None or (folder / "package.json").is_file()
    return not is_program and (folder / "main.sh").is_file()


def _python_step(needed: Requirements | None) -> str:
    return "no requirements.txt" if needed is None else needed.step


def _python_key(needed: Requirements | None) -> str:
    text = b"" if needed is None else needed.text
    digest = sha256(f"{sys.version}\0{sys.platform}\0".encode() + text).hexdigest()[:24]
    return f"python-{digest}"


def _node_key(folder: Path) -> str:
    digest = sha256(sys.platform.encode())
    for path in _sources(folder):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return f"node-{digest.hexdigest()[:24]}"


def _sources(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        if path.is_file() and not _SKIPPED_FOLDERS.intersection(inside):
            yield path


def _last_lines(log: Path) -> str:
    return " | ".join(log.read_text(errors="replace").strip().splitlines()[-3:])


def _fix_script_paths(fresh: Path, final: Path) -> None:
    """Replaces the path of the build in scripts by the final path."""
    old, new = os.fsencode(fresh), os.fsencode(final)
    for script in (*(fresh / "bin").iterdir(), fresh / "pyvenv.cfg"):
        if script.is_symlink() or not script.is_file():
            continue
        content = script.read_bytes()
        # Not in binary files, because another length would break them.
        if old in content and b"\0" not in content:
            script.write_bytes(content.replace(old, new))
