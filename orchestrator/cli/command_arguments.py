"""
The arguments of each command.

Imports nothing heavy, because `--help` and usage errors need no command.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from orchestrator.cli.argument_values import (
    age,
    count,
    day_or_time,
    days,
    given_path,
    one_day,
    pair,
    positive,
    run_id,
    span_of_days,
    task_name,
)
from orchestrator.cli.emulator import add_emulator_commands
from orchestrator.cli.shared_options import (
    add_accept_changes,
    add_batch_options,
    add_job_choice,
    add_logging,
    add_output,
    add_select,
)

BATCH_HELP = "a batch: its folder, NAME or NAME/ID"
FOLLOW_HELP = "also wait for the first run, and follow those of further attempts"
SPEC_HELP = "a spec: TOML, YAML or JSON; - is standard input"


def add_abort(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("batch", metavar="BATCH", help=BATCH_HELP)
    add_batch_options(parser)


def add_collect(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("batch", metavar="BATCH", nargs="?", help=BATCH_HELP)
    add_runs(parser)
    add_select(parser, "which jobs to collect")
    parser.add_argument(
        "--online",
        action="store_true",
        help="also download what the platform holds more than the disk",
    )
    for name in ("run", "input"):
        parser.add_argument(
            f"--{name}-json",
            action="store_true",
            help=f"write {name}.json too where the spec says collect = {{ {name} = false }}",
        )
    add_output(parser)
    add_logging(parser)
    parser.set_defaults(on_signal="leave")


def add_runs(parser: argparse.ArgumentParser) -> None:
    """Options for a batch of runs that other programs started."""
    group = parser.add_argument_group(
        "a batch of runs that other programs started",
        "starts nothing; waits for the end of each run",
    )
    group.add_argument(
        "--runs", metavar="ID", type=run_id, nargs="+", help="these runs: their ids or addresses"
    )
    group.add_argument(
        "--task", metavar="T", type=task_name, help="runs of a task: its id, address, or me/my-task"
    )
    group.add_argument(
        "--last",
        metavar="AGE",
        type=age,
        help="only runs of the task that started in this time, such as 24h",
    )
    group.add_argument("--name", metavar="N", help="the name of the batch")


def add_doctor(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument(
        "spec", metavar="SPEC", type=Path, nargs="?", help=f"also check a spec ({SPEC_HELP})"
    )
    parser.add_argument(
        "--notify",
        action="store_true",
        help="send a test to the notification URLs and the ping URL of SPEC and of the settings",
    )
    add_output(parser)
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.set_defaults(on_signal="leave")


def add_completion(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("shell", choices=["bash", "zsh", "fish"], help="the shell")
    parser.set_defaults(json=False)


def add_export(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("batch", metavar="BATCH", help=BATCH_HELP)
    parser.add_argument(
        "--format",
        choices=["parquet", "csv", "jsonl"],
        required=True,
        help="the format of the table",
    )
    parser.add_argument(
        "--since",
        metavar="DATE",
        type=one_day,
        help="all batches of this name for this day and later ones, such as 2026-11-25; columns "
        "name the batch and occurrence of each item",
    )
    parser.add_argument(
        "--to",
        metavar="FILE",
        help="the file to write; - is standard output (default: export/ in the batch folder)",
    )
    add_output(parser)
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")


def add_import_run(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument(
        "run_id",
        metavar="RUN_ID",
        type=run_id,
        help="the id of a run, or its address in the Console",
    )
    add_output(parser)
    parser.set_defaults(on_signal="leave")


def add_init(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument(
        "folder",
        metavar="DIR",
        type=given_path,
        nargs="?",
        default=Path(),
        help="the folder to write to (default: the working folder)",
    )
    parser.add_argument(
        "--yaml", action="store_true", help="write the spec as YAML instead of TOML"
    )


def add_list(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="only batches of this name")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    add_output(parser)


def add_logs(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("batch", metavar="BATCH", help=BATCH_HELP)
    parser.add_argument("job", metavar="JOB", help="the key of a job")
    parser.add_argument("-f", "--follow", action="store_true", help=FOLLOW_HELP)
    add_output(parser)
    parser.set_defaults(on_signal="leave")


def add_plan(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("spec", metavar="SPEC", type=Path, help=SPEC_HELP)
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    parser.add_argument(
        "--online",
        action="store_true",
        help="ask the platform for limits, usage, prices and earlier runs",
    )
    parser.add_argument(
        "--diff", metavar="BATCH", help="list how the jobs differ from those of a batch"
    )
    parser.add_argument(
        "--param", metavar="K=V", type=pair, action="append", default=[], help="set a parameter"
    )
    parser.add_argument(
        "--date", metavar="D", type=one_day, help="the day of `{{ date }}` (default: today)"
    )
    add_job_choice(parser)
    add_output(parser)
    parser.set_defaults(on_signal="leave")


def add_platform(parser: argparse.ArgumentParser) -> None:
    """Its commands and their options."""
    add_emulator_commands(parser)
    parser.set_defaults(json=False)


def add_prune(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("name", metavar="NAME", help="the name of the batches")
    parser.add_argument(
        "--keep-last", metavar="N", type=count, help="keep the N newest of each series, of any age"
    )
    parser.add_argument(
        "--keep-days", metavar="D", type=days, help="keep batches that ended in the last D days"
    )
    parser.add_argument(
        "--delete-storages",
        action="store_true",
        help="also delete the storages of the removed runs on the platform, if all their data is "
        "on disk",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="only list the batches that would be removed, with their sizes",
    )
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    add_output(parser)
    parser.set_defaults(on_signal="leave")


def add_report(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("batch", metavar="BATCH", help=BATCH_HELP)
    add_select(parser, "show only these jobs")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    add_output(parser)


def add_resume(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("batch", metavar="BATCH", help=BATCH_HELP)
    add_accept_changes(parser)
    add_batch_options(parser)


def add_retry(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("batch", metavar="BATCH", help=BATCH_HELP)
    add_select(parser, "only these failed jobs")
    parser.add_argument(
        "--dry-run", action="store_true", help="only list the jobs that would run again"
    )
    add_batch_options(parser)


def add_run(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("spec", metavar="SPEC", type=Path, help=SPEC_HELP)
    parser.add_argument("--local", action="store_true", help="run on the embedded local platform")
    parser.add_argument(
        "--actors",
        metavar="DIR",
        type=given_path,
        action="append",
        help="a folder of Actors for --local (default: `actors` beside the spec)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="make one batch for each occurrence of the schedule: resume it, run it, or do "
        "nothing if it is done; for cron, systemd, Kubernetes and other supervisors",
    )
    parser.add_argument(
        "--shard",
        metavar="K/N",
        help="work on the batch of the occurrence as the K-th of N processes, on any machines; "
        "implies --resume, needs --ledger postgresql://…",
    )
    parser.add_argument(
        "--on",
        metavar="URL",
        help="run the batch of the occurrence on an engine: dask://HOST:PORT; needs --ledger "
        "postgresql://…",
    )
    parser.add_argument(
        "--shards",
        metavar="N",
        type=positive,
        help="how many processes --on starts (default: one on each worker)",
    )
    add_accept_changes(parser)
    parser.add_argument(
        "--param", metavar="K=V", type=pair, action="append", default=[], help="set a parameter"
    )
    add_job_choice(parser)
    parser.add_argument(
        "--force", action="store_true", help="run all jobs, even if `reuse` allows earlier results"
    )
    parser.add_argument(
        "--concurrent",
        action="store_true",
        help="start a batch even if another one of the same series is live",
    )
    times = parser.add_mutually_exclusive_group()
    times.add_argument(
        "--occurrence",
        metavar="T",
        type=day_or_time,
        help="the occurrence of the batch: a day, or a time such as 2026-11-25T02:15",
    )
    times.add_argument(
        "--date",
        metavar="D",
        dest="occurrence",
        type=one_day,
        help="the same for a day, which is `{{ date }}` (default: the day of the due occurrence)",
    )
    times.add_argument(
        "--dates",
        metavar="A..B",
        type=span_of_days,
        help="run a batch for each day from A to B that has no successful one",
    )
    add_batch_options(parser)


def add_schema(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument(
        "--write", metavar="FILE", type=given_path, help="write it to a file, and name that"
    )
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)


def add_status(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument(
        "batch",
        metavar="BATCH",
        nargs="?",
        help="a batch: its folder, NAME or NAME/ID (default: the newest of all)",
    )
    parser.add_argument("--why", metavar="JOB", help="print what a job waits for")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    add_output(parser)


def add_ui(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument(
        "--port", metavar="N", type=count, default=0, help="the port to use (default: a free one)"
    )
    parser.add_argument("--json", action="store_true", help="print the address as JSON")
    add_output(parser)


def add_validate(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("specs", metavar="SPEC", type=Path, nargs="+", help=SPEC_HELP)
    parser.add_argument(
        "--param", metavar="K=V", type=pair, action="append", default=[], help="set a parameter"
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        type=given_path,
        default=Path("output"),
        help="the folder of batches whose results a spec reads (default: output)",
    )
    parser.add_argument(
        "--online",
        action="store_true",
        help="ask the platform if Actors, tasks and builds exist and inputs are valid",
    )
    parser.add_argument("--config", metavar="FILE", type=given_path, help="a config file to read")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.set_defaults(on_signal="leave")


def add_verify(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("batch", metavar="BATCH", help=BATCH_HELP)
    add_select(parser, "only these jobs")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.add_argument(
        "--online",
        action="store_true",
        help="also ask the platform if it holds more items than the disk",
    )
    add_output(parser)
    parser.set_defaults(on_signal="leave")


def add_watch(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("batch", metavar="BATCH", help=BATCH_HELP)
    parser.add_argument("--json", action="store_true", help="print JSON after each change")
    add_output(parser)
