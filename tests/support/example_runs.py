"""
Runs the examples of a page, in a folder of their own with an empty home, against an emulator.

`python -m tests.support.example_runs PAGE…` writes into a page what its commands really print.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from ast import PyCF_ALLOW_TOP_LEVEL_AWAIT
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent
from types import ModuleType

from orchestrator.cli.parser import parse
from orchestrator.errors import OrchestratorError
from orchestrator.specfile import expand, load_spec
from tests.support.command import (
    LONGEST_SECS,
    ORCHESTRATOR,
    ROOT,
    ServedPlatform,
    fork_server,
    served_platform,
)
from tests.support.examples import (
    Block,
    Call,
    blocks_of,
    calls_of,
    is_printed,
    programs_of,
    shortened,
)
from tests.support.tracebacks import temporary_folder

BESIDE = Path(sys.executable).parent
PYTHON = "tests.support.example_runs:run_program"
IN_FORK = {
    "orchestrator": ORCHESTRATOR,
    "apify-emulator": "apify_emulator.cli.main:main",
    "python": PYTHON,
}
NO_PLUGINS = " ".join(f"-p no:{name}" for name in ("asyncio", "cov", "timeout", "xdist"))
"""What a user of pytest need not have; the plugin of the emulator stays."""
COMMENT = re.compile(r"\s# [^'\"\n]*$")
NEEDS_SHELL = re.compile(r"[|&;<>$`*?~\n]|^cd ")
WHOLE_SPEC = {
    "batch": '[batch]\nname = "example"\n',
    "jobs": '[[jobs]]\nname = "job"\nactor = "me/actor"\n',
}


class Wrong(Exception):
    """An example does not do what its page says."""


@dataclass(kw_only=True, slots=True)
class PageRun:
    """
    The run of one page.

    Attributes:
        outputs: the text of each console block with what its commands really printed, by its span;
            only of blocks that differ.
    """

    folder: Path
    home: Path
    platform: ServedPlatform
    outputs: dict[tuple[int, int], str] = field(default_factory=dict)

    def run(self, page: str, *, write: bool = False) -> None:
        """
        Runs or checks each block.

        Args:
            write: record other outputs, instead of refusing them.

        Raises:
            Wrong: an example does not do what the page says.
        """
        for block in reversed(blocks_of(page)):
            if block.kind != "python":
                self._write(block)  # also what a page shows below the spec that reads it
        is_long = write or "ORCHESTRATOR_SOAK" in os.environ
        for block in blocks_of(page if is_long else shortened(page)):
            try:
                self._run_block(block, write=write)
            except (Wrong, OrchestratorError, ValueError) as error:
                raise Wrong(f"line {block.line}: {error}") from error

    def _run_block(self, block: Block, *, write: bool) -> None:
        self._write(block)
        match block.kind:
            case "actor" | "limits" | "task" | "file" | "run":
                self._prepare(block)
            case "toml":
                self._check_toml(block)
            case "yaml" | "json":
                self._check_values(block)
            case "python":
                compile(
                    dedent(block.text), block.title or "example", "exec", PyCF_ALLOW_TOP_LEVEL_AWAIT
                )
                if block.title is None and block.why_not is None:
                    self._run_python(block)
            case "sh" | "console" if block.title is None:
                self._run_commands(block, write=write)

    def _write(self, block: Block) -> None:
        """Writes the file that a block is."""
        if block.title is not None:
            path = self.folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)

    def _prepare(self, block: Block) -> None:
        """Does what a comment says."""
        match block.kind:
            case "actor":
                self.platform.post_control("actors", json.loads(block.text))
            case "limits":
                self.platform.post_control("limits", json.loads(block.text))
            case "task":
                self.platform.post("/actor-tasks", json.loads(block.text))
            case "file":
                name, _, text = block.text.partition("\n")
                (self.folder / name).write_text(text + "\n")
            case _:
                self._call(Call(command=block.text), 0)

    def _run_commands(self, block: Block, *, write: bool) -> None:
        calls = list(calls_of(block))
        if block.why_not is not None:
            for call in calls:
                check_command(call.command)
            return
        shown = ""
        for call in calls:
            printed = self._call(call, block.exit_code if call is calls[-1] else 0)
            is_right = call.printed is None or is_printed(call.printed, printed)
            if not is_right and not write:
                raise Wrong(f"{call.command}\n--- printed\n{printed}\n--- the page\n{call.printed}")
            told = call.printed if is_right else printed
            command = call.command.replace("\n", "\n> ")
            shown += f"$ {command}\n{(told or '').rstrip()}".rstrip() + "\n"
        if block.kind == "console" and shown.rstrip() != block.text.rstrip():
            self.outputs[block.span] = shown

    def _run_python(self, block: Block) -> None:
        script = self.folder / ".example.py"
        script.write_text(block.text)
        self._call(Call(command="python .example.py"), block.exit_code)
        script.unlink()

    def _call(self, call: Call, exit_code: int) -> str:
        """Runs a command; returns what it printed."""
        environment, words = self._environment(), [""]
        if not NEEDS_SHELL.search(COMMENT.sub("", call.command)):
            words = shlex.split(call.command, comments=True)
            while match := re.fullmatch(r"(\w+)=(.*)", words[0]):
                environment[match[1]] = match[2]
                words.pop(0)
        program = None if self._starts_threads(words) else IN_FORK.get(words[0])
        code, printed = (
            self._call_shell(call.command)
            if program is None
            else self._call_fork(program, words[1:], environment)
        )
        code = 128 - code if code < 0 else code  # as a shell says it
        if code != exit_code:
            raise Wrong(f"{call.command}\nended with {code}, not with {exit_code}\n{printed}")
        for here, shown in (
            (f"PATH={BESIDE}:/usr/local/bin", "PATH=/usr/local/bin"),
            (str(BESIDE), "/usr/local/bin"),
            (str(self.home), "/home/me"),
            (str(self.folder), "/home/me/batches"),
            (self.platform.url, "https://api.apify.com"),
        ):
            printed = printed.replace(here, shown)
        return printed

    def _starts_threads(self, words: Sequence[str]) -> bool:
        """Whether a program's library has threads of its own, which hang or abort in a fork."""
        return words[0] == "python" and "apify_client" in (self.folder / words[1]).read_text()

    def _call_fork(
        self, program: str, words: Sequence[str], environment: dict[str, str]
    ) -> tuple[int, str]:
        process = fork_server(()).start(program, words, self.folder, environment, mixed=True)
        printed, _ = process.communicate()
        return process.code, printed

    def _call_shell(self, command: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONGEST_SECS,
            check=False,
        )
        return done.returncode, done.stdout

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{BESIDE}{os.pathsep}{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
            "HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            "PROJECT": str(ROOT),
            # Where the set-up has built the environment of the sample Actor.
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_ADDOPTS": NO_PLUGINS,
            "TMPDIR": temporary_folder(),
            **self.platform.variables(),
        }

    def _check_toml(self, block: Block) -> None:
        """A spec is valid; a part of a spec is valid with what it lacks."""
        text = block.text
        tables = tomllib.loads(text)
        if tables.keys().isdisjoint(SPEC_TABLES):
            return
        if isinstance(tables.get("jobs"), dict):
            text = WHOLE_SPEC["jobs"] + text  # tables of a job without its own
        missing = [part for name, part in WHOLE_SPEC.items() if name not in tables]
        spec = self.folder / ".example.toml"
        spec.write_text("\n".join([text, *missing]))
        environment = dict.fromkeys(ENV.findall(text), "https://alerts.example/secret")
        jobs = expand(load_spec(spec), params={}, env=environment, today=date(2026, 11, 25))
        spec.unlink()
        if not list(jobs):
            raise Wrong("the spec has no jobs")

    def _check_values(self, block: Block) -> None:
        if block.kind == "json":
            json.loads(block.text)
            return
        # Imported for the pages that have YAML.
        import yaml

        values = list(yaml.safe_load_all(block.text))
        if values and isinstance(values[0], dict) and "batch" in values[0]:
            spec = self.folder / ".example.yaml"
            spec.write_text(block.text)
            list(expand(load_spec(spec), params={}, env={}, today=date(2026, 11, 25)))
            spec.unlink()


ENV = re.compile(r"\{\{ env\.(\w+) \}\}")
SPEC_TABLES = frozenset({"batch", "results", "retention", "notify", "pools", "jobs", "defaults"})
OWN_EXTRA = re.compile(r"apify-batch\[([\w,]+)\]")


def check_command(command: str) -> None:
    """
    Checks a command that cannot run here, by the parsers of the shell and of this project.

    Raises:
        Wrong: a parser refuses it.
    """
    done = subprocess.run(
        ["bash", "-n", "-c", command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Wrong(done.stderr)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extras in OWN_EXTRA.findall(command):
        unknown = set(extras.split(",")) - project["optional-dependencies"].keys()
        if unknown:
            raise Wrong(f"{command}: there is no extra {', '.join(unknown)}")
    targets = set(re.findall(r"^([a-z-]+)[ :]", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for program, *words in programs_of(command):
        if program == "orchestrator" and "…" not in words:
            _check_words(words)
        if program == "make" and not set(words) - {w for w in words if "=" in w} <= targets:
            raise Wrong(f"{command}: make has no such target")


def _check_words(words: list[str]) -> None:
    try:
        parse(words)
    except SystemExit as error:
        if error.code:
            raise Wrong(f"orchestrator {shlex.join(words)}: the parser refuses it") from error


def run_program(words: Sequence[str]) -> None:
    """
    Runs a Python program as `python` does; called in a child of the fork server.

    A program may `await` at its top level, as a cell of a notebook may.
    """
    sys.argv = list(words)
    sys.path[0] = str(Path(words[0]).parent.resolve())
    code = compile(Path(words[0]).read_text(), words[0], "exec", PyCF_ALLOW_TOP_LEVEL_AWAIT)
    main = ModuleType("__main__")
    sys.modules["__main__"] = main
    rest = eval(code, vars(main))  # noqa: S307 - an example of our own
    if inspect.iscoroutine(rest):
        asyncio.run(rest)


def write_outputs(path: Path) -> None:
    """Writes into a page what its commands really print."""
    page = path.read_text()
    with (
        TemporaryDirectory() as folder,
        served_platform(Path(folder, "data"), program=ORCHESTRATOR) as platform,
    ):
        run = page_run(Path(folder), platform)
        run.run(page, write=True)
    for (start, end), text in sorted(run.outputs.items(), reverse=True):
        page = page[:start] + text + page[end:]
    path.write_text(page)


def page_run(folder: Path, platform: ServedPlatform) -> PageRun:
    """A run of a page, with an empty home and working folder, on an empty account."""
    platform.post_control("reset", None)
    home, work = folder / "home", folder / "work"
    for new in (home, work):
        new.mkdir()
    return PageRun(folder=work, home=home, platform=platform)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        write_outputs(Path(name))
