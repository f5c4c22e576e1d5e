"""System errors and interference by other programs: clear messages and exit codes."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.command import Command, Done, Process, ServedPlatform, sweep, wait_until

REFUSED = "tests.support.refused_paths:main_refused"


def refused(command: Command, *words: str) -> Done:
    """Runs a command on a system that refuses something; see `refused_paths`."""
    return replace(command, program=REFUSED).run(*words)


def started(command: Command, platform: ServedPlatform, jobs: int = 4) -> tuple[Process, Path]:
    """A batch with some of its runs started, and its folder."""
    text = sweep(jobs=jobs, batch="max_runs = 2", duration_secs=1.5, items=1)
    command.write("sweep.toml", text)
    process = command.start("run", "sweep.toml")
    latest = command.folder / "output/sweep/latest"
    wait_until(lambda: latest.exists() and len(platform.runs_of(latest)) == 2, "two runs")
    return process, latest.resolve()


def _delete_ledger(folder: Path) -> None:
    for path in folder.glob("ledger.sqlite*"):
        path.unlink()


def _delete_log_of_ledger(folder: Path) -> None:
    (folder / "ledger.sqlite-wal").unlink()


def _truncate_ledger(folder: Path) -> None:
    os.truncate(folder / "ledger.sqlite-wal", 0)
    os.truncate(folder / "ledger.sqlite", 0)


def _overwrite_ledger(folder: Path) -> None:
    (folder / "ledger.sqlite").write_bytes(b"not a ledger " * 9000)


def _replace_ledger(folder: Path) -> None:
    shutil.copy(folder / "ledger.sqlite", folder / "copy")
    (folder / "copy").replace(folder / "ledger.sqlite")


def test_batch_of_another_user_can_be_asked_but_not_changed(command: Command) -> None:
    """What only reads needs no lock, and a batch that cannot be removed is no success."""
    text = sweep("theirs", jobs=2, duration_secs=0.01, items=1, outcome="FAILED")
    command.write("theirs.toml", text)
    command.run("run", "theirs.toml")
    lock = ("open", "*/.lock", "EACCES")
    done = refused(command, *lock, "retry", "theirs", "--dry-run")
    assert (done.code, done.out.splitlines()[-1]) == (0, "2 jobs"), done.err
    done = refused(command, *lock, "retry", "theirs")
    assert (done.code, "cannot be locked (Permission denied)" in done.err) == (2, True), done.err
    done = refused(command, *lock, "prune", "theirs", "--keep-last", "0")
    assert (done.code, "cannot be locked (Permission denied)" in done.out) == (1, True), done.err
    assert command.run("prune", "theirs", "--keep-last", "0").code == 0


@pytest.mark.parametrize(
    ("damage", "codes"),
    [
        (_delete_ledger, {3}),
        (_delete_log_of_ledger, {2}),
        (_truncate_ledger, {2, 3}),
        (_overwrite_ledger, {2}),
        (_replace_ledger, {2}),
        # One file after the other, so that the process may first find that the log is gone.
        (shutil.rmtree, {2, 3}),
        (lambda folder: folder.rename(folder.with_name("moved")), {3}),
    ],
    ids=["deleted", "log deleted", "truncated", "overwritten", "replaced", "folder", "moved"],
)
def test_damage_to_a_running_batch_is_reported(
    command: Command, platform: ServedPlatform, damage: Callable[[Path], object], codes: set[int]
) -> None:
    """After any damage to its ledger or folder, the batch ends soon, with a message and a code."""
    process, folder = started(command, platform)
    damage(folder)
    _, err = process.communicate()
    assert process.code in codes, err
    assert "ledger" in err
    assert "Traceback" not in err


def test_touched_ledger_stays_in_use(command: Command, platform: ServedPlatform) -> None:
    """A new modification time without a change, as from a backup program, ends nothing."""
    process, folder = started(command, platform)
    os.utime(folder / "ledger.sqlite")
    _, err = process.communicate()
    assert process.code == 0, err


def test_batch_that_another_process_took_over_is_left_to_it(
    command: Command, platform: ServedPlatform
) -> None:
    """With the lock file deleted, a second process takes over, and the first one ends with 4."""
    process, folder = started(command, platform)
    (folder / ".lock").unlink()
    second = command.run("resume", "sweep", "--json")
    _, err = process.communicate()
    assert process.code == 4, err
    assert "another process has taken this batch over" in err
    assert (second.code, second.json["jobs"]["SUCCEEDED"]) == (0, 4), second.err
    assert len(platform.runs_of(folder)) == 4


@pytest.mark.parametrize(
    "words",
    [["resume"], ["retry"], ["collect"], ["abort"], ["run", "sweep.toml", "--resume"]],
    ids=" ".join,
)
def test_batch_on_read_only_media_is_an_error(command: Command, words: list) -> None:
    """A batch that cannot be locked is exit code 2, with the path, the reason and what to do."""
    command.write("sweep.toml", sweep(jobs=1, duration_secs=0, outcome="FAILED"))
    assert command.run("run", "sweep.toml").code == 1
    batch = [] if words[0] == "run" else ["sweep"]
    done = refused(command, "open", "*/.lock", "EROFS", *words, *batch)
    assert done.code == 2, done.err
    assert "/.lock: cannot be locked (Read-only file system): fix that" in done.err


@pytest.mark.parametrize(
    ("words", "pattern", "said"),
    [
        (["report", "sweep"], "*jobs.jsonl*", "the reports cannot be written"),
        (
            ["schedule", "cron", "sweep.toml", "--at", "@daily", "--to", "."],
            "*.crontab*",
            "name another folder with --to",
        ),
    ],
    ids=["report", "schedule"],
)
def test_file_of_a_single_command_that_cannot_be_written_is_an_error(
    command: Command, words: list, pattern: str, said: str
) -> None:
    """Nothing is stopped early, so there is nothing to resume."""
    command.write("sweep.toml", sweep(jobs=1, duration_secs=0))
    assert command.run("run", "sweep.toml").code == 0
    done = refused(command, "open", pattern, "EROFS", *words)
    assert (done.code, said in done.err) == (2, True), done.err
    assert "resume" not in done.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("call", "pattern", "name", "code"),
    [
        ("mkdir", "*output*", "ENOSPC", 3),
        ("mkdir", "*output*", "EACCES", 2),
        ("open", "*/ledger.sqlite", "ENOSPC", 3),
        ("open", "*/.lock", "ENOSPC", 3),
        ("open", "*/.lock", "EDQUOT", 3),
        ("open", "*/.lock", "ENOLCK", 2),
        ("open", "*/.spec.toml.part", "EACCES", 3),
        ("rename", "*.new", "EACCES", 2),
        ("open", "*/log.jsonl", "EACCES", 2),
        ("open", "*/log.jsonl", "ENOSPC", 3),
        ("open", "*sweep.toml", "EMFILE", 3),
        ("open", "*sweep.toml", "ENFILE", 3),
        ("open", "*sweep.toml", "EIO", 2),
    ],
)
def test_refusal_before_the_first_start_is_reported(
    command: Command, platform: ServedPlatform, call: str, pattern: str, name: str, code: int
) -> None:
    """Whatever the system refuses before the first start has a message and a code, and no cost."""
    command.write("sweep.toml", sweep(jobs=1, duration_secs=0))
    before = len(platform.runs())
    done = refused(command, call, pattern, name, "run", "sweep.toml")
    assert done.code == code, done.err
    said = {"ENOSPC": "disk is full", "EDQUOT": "disk is full", "EMFILE": "`ulimit -n`"}
    said["ENFILE"] = "the whole system has too many open files"
    assert said.get(name, os.strerror(getattr(errno, name))) in done.err
    assert "sweep" in done.err
    assert len(platform.runs()) == before


def test_path_that_sqlite_does_not_open_is_an_error(
    command: Command, platform: ServedPlatform
) -> None:
    """A too long path of the output folder is exit code 2, with a message and no cost."""
    command.write("sweep.toml", sweep(jobs=1, duration_secs=0))
    before = len(platform.runs())
    done = command.run("run", "sweep.toml", "--output", "/".join(["o" * 200] * 4))
    assert done.code == 2, done.err
    assert "SQLite cannot open a path of more than 512 bytes" in done.err
    assert len(platform.runs()) == before


def test_second_local_batch_in_one_folder_names_the_holder(tmp_path: Path) -> None:
    """While one `run --local` serves the platform of an output folder, another one exits with 4."""
    command = Command(folder=tmp_path)
    command.write("sweep.toml", sweep(jobs=1, duration_secs=20))
    process = command.start("run", "sweep.toml", "--local")
    wait_until((tmp_path / "output/sweep/latest").exists, "a batch")
    second = command.run("run", "sweep.toml", "--local")
    process.terminate()
    process.communicate()
    assert second.code == 4, second.err


@pytest.mark.parametrize("word", ["list", "status"])
def test_folder_of_another_user_hides_no_batch(command: Command, word: str) -> None:
    """The output folder may be the root of a disk, whose `lost+found` nobody may read."""
    command.write("sweep.toml", sweep(jobs=1, duration_secs=0))
    command.run("run", "sweep.toml")
    (command.folder / "output" / "lost+found").mkdir()
    done = refused(command, "scandir", "*/lost+found", "EACCES", word)
    assert "sweep" in done.out + done.err
    assert "cannot be used" not in done.err
    assert "lost+found" in done.err


def test_system_without_threads_is_named(command: Command, platform: ServedPlatform) -> None:
    """A limit of pids, as containers have, is no bug of ours: the message says what to raise."""
    command.write("sweep.toml", sweep(jobs=1, duration_secs=0))
    before = len(platform.runs())
    program = "tests.support.no_threads:main_without_threads"
    done = replace(command, program=program).run("run", "sweep.toml")
    assert done.code == 3, done.err
    assert "start no more threads: raise the limit of processes" in done.err
    assert len(platform.runs()) == before


@pytest.mark.parametrize("answer", ["EPERM", "ENOSYS", "EOPNOTSUPP"])
def test_file_system_without_links_has_no_latest(command: Command, answer: str) -> None:
    """Batches run there all the same, and their names find them."""
    command.write("sweep.toml", sweep(jobs=1, duration_secs=0))
    done = refused(command, "symlink", "2*", answer, "run", "sweep.toml")
    assert done.code == 0, done.err
    assert "latest not linked folder=output/sweep" in done.err
    assert command.run("status", "sweep").code == 0
