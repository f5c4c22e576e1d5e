"""
The arguments of each command.

Imports nothing heavy: `--help` and usage errors come before a command is imported.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from orchestrator.cli.argument_values import (
    age,
    count,
    day_or_time,
    given_path,
    one_day,
    pair,
    positive,
    selection_text,
    span_of_days,
)
from orchestrator.cli.emulator import add_emulator_commands

SPEC_HELP = "a spec: TOML, YAML or JSON; - is standard input"


def add_abort(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("batch", metavar="BATCH", help="a batch: its folder, NAME or NAME/ID")
    add_driving(parser)


def add_collect(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument(
        "batch", metavar="BATCH", nargs="?", help="a batch: its folder, NAME or NAME/ID"
    )
    add_runs(parser)
    add_select(parser, "which jobs to look at")
    for name in ("run", "input"):
        parser.add_argument(
            f"--{name}-json",
            action="store_true",
            help=f"write {name}.json too where the spec says collect = {{ {name} = false }}",
        )
    add_output(parser)
    add_telling(parser)
    parser.set_defaults(on_signal="leave")


def add_runs(parser: argparse.ArgumentParser) -> None:
    """What makes a batch of runs that somebody else started."""
    group = parser.add_argument_group(
        "a batch of runs that somebody else started",
        "nothing is started; their ends are waited for",
    )
    group.add_argument("--runs", metavar="ID", nargs="+", help="these runs")
    group.add_argument("--task", metavar="T", help="the runs of a task: its id, or me/my-task")
    group.add_argument(
        "--last", metavar="AGE", type=age, help="those of the task that began in it, such as 24h"
    )
    group.add_argument("--name", metavar="N", help="the name of the batch")


def add_export(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("batch", metavar="BATCH", help="a batch: its folder, NAME or NAME/ID")
    parser.add_argument("--format", choices=["parquet", "csv", "jsonl"], required=True)
    parser.add_argument(
        "--since",
        metavar="DATE",
        type=one_day,
        help="all batches of this name for that day and later ones, as 2026-11-25; columns say "
        "of which batch and occurrence an item is",
    )
    parser.add_argument(
        "--to",
        metavar="FILE",
        help="where to write it; - is standard output (export/ in the folder of the batch)",
    )
    add_output(parser)
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")


def add_import_run(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("run_id", metavar="RUN_ID", help="the id of a run")
    add_output(parser)
    parser.set_defaults(on_signal="leave")


def add_init(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument(
        "folder", metavar="DIR", type=given_path, nargs="?", default=Path(), help="where to (here)"
    )


def add_list(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="only batches of this name")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    add_output(parser)


def add_logs(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("batch", metavar="BATCH", help="a batch: its folder, NAME or NAME/ID")
    parser.add_argument("job", metavar="JOB", help="the key of a job")
    add_output(parser)
    parser.set_defaults(on_signal="leave")


def add_plan(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("spec", metavar="SPEC", type=Path, help=SPEC_HELP)
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    parser.add_argument(
        "--online",
        action="store_true",
        help="ask the account for limits, usage, prices and earlier runs",
    )
    parser.add_argument("--diff", metavar="BATCH", help="how the jobs differ from a batch's")
    parser.add_argument(
        "--param", metavar="K=V", type=pair, action="append", default=[], help="set a parameter"
    )
    parser.add_argument("--date", metavar="D", type=one_day, help="the day of `{{ date }}` (today)")
    add_choice(parser)
    add_output(parser)
    parser.set_defaults(on_signal="leave")


def add_platform(parser: argparse.ArgumentParser) -> None:
    """The command's own commands and their options."""
    add_emulator_commands(parser)
    parser.set_defaults(json=False)


def add_prune(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("name", metavar="NAME", help="a batch's name")
    parser.add_argument(
        "--keep-last", metavar="N", type=count, help="keep the N newest, whatever their age"
    )
    parser.add_argument(
        "--keep-days", metavar="D", type=float, help="keep those that ended in the last D days"
    )
    parser.add_argument(
        "--delete-storages",
        action="store_true",
        help="delete what the runs of removed batches hold on the platform, once it is known to be "
        "on disk",
    )
    parser.add_argument("--dry-run", action="store_true", help="only tell which it would be")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    add_output(parser)
    parser.set_defaults(on_signal="leave")


def add_report(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("batch", metavar="BATCH", help="a batch: its folder, NAME or NAME/ID")
    add_select(parser, "only these jobs on the page")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    add_output(parser)


def add_resume(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("batch", metavar="BATCH", help="a batch: its folder, NAME or NAME/ID")
    add_accept_changes(parser)
    add_driving(parser)


def add_retry(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("batch", metavar="BATCH", help="a batch: its folder, NAME or NAME/ID")
    add_select(parser, "which of the failed jobs")
    parser.add_argument("--dry-run", action="store_true", help="only tell which jobs it would be")
    add_driving(parser)


def add_run(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("spec", metavar="SPEC", type=Path, help=SPEC_HELP)
    parser.add_argument("--local", action="store_true", help="run on the embedded local platform")
    parser.add_argument(
        "--actors",
        metavar="DIR",
        type=given_path,
        action="append",
        help="Actors for --local (the folder `actors` beside the spec)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="one batch for each occurrence of the schedule: resume it, run it, or do nothing "
        "where it is done; for cron, systemd, Kubernetes and other supervisors",
    )
    add_accept_changes(parser)
    parser.add_argument(
        "--param", metavar="K=V", type=pair, action="append", default=[], help="set a parameter"
    )
    add_choice(parser)
    parser.add_argument(
        "--force", action="store_true", help="run jobs although `reuse` would take earlier results"
    )
    parser.add_argument(
        "--concurrent",
        action="store_true",
        help="start a batch although another one of the same series is live",
    )
    times = parser.add_mutually_exclusive_group()
    times.add_argument(
        "--occurrence",
        metavar="T",
        type=day_or_time,
        help="the occurrence that the batch is for: a day, or a time as 2026-11-25T02:15",
    )
    times.add_argument(
        "--date",
        metavar="D",
        dest="occurrence",
        type=one_day,
        help="the same: the day that `{{ date }}` is, as 2026-11-25 (that of the occurrence due)",
    )
    times.add_argument(
        "--dates",
        metavar="A..B",
        type=span_of_days,
        help="a batch for each of these days, both included, that has none which succeeded",
    )
    add_driving(parser)


def add_schema(parser: argparse.ArgumentParser) -> None:
    """The command has no options; its answer is JSON in any case."""
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)


def add_status(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument(
        "batch",
        metavar="BATCH",
        nargs="?",
        help="a batch: its folder, NAME or NAME/ID (the newest of all)",
    )
    parser.add_argument("--why", metavar="JOB", help="tell what a job waits for")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
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
        help="where batches are whose results a spec takes (output)",
    )
    parser.add_argument(
        "--online",
        action="store_true",
        help="ask the platform whether Actors, tasks and builds exist and inputs fit",
    )
    parser.add_argument("--config", metavar="FILE", type=given_path, help="a config file to read")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.set_defaults(on_signal="leave")


def add_verify(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("batch", metavar="BATCH", help="a batch: its folder, NAME or NAME/ID")
    add_select(parser, "which jobs")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.add_argument(
        "--online",
        action="store_true",
        help="ask the platform too whether it holds more items than are on disk",
    )
    add_output(parser)
    parser.set_defaults(on_signal="leave")


def add_watch(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("batch", metavar="BATCH", help="a batch: its folder, NAME or NAME/ID")
    parser.add_argument(
        "--json", action="store_true", help="print a line of JSON whenever something has changed"
    )
    add_output(parser)


def add_output(parser: argparse.ArgumentParser) -> None:
    """`--output` and `--config`."""
    parser.add_argument(
        "--output", metavar="DIR", help="where batches are: a folder or s3://bucket/prefix (output)"
    )
    parser.add_argument("--config", metavar="FILE", type=given_path, help="a config file to read")


def add_driving(parser: argparse.ArgumentParser) -> None:
    """What every command takes that drives a batch."""
    add_output(parser)
    add_telling(parser)
    parser.add_argument("--max-runs", metavar="N", type=int, help="runs at once")
    parser.add_argument(
        "--on-signal",
        choices=["leave", "abort"],
        default="leave",
        help="what becomes of runs on the platform at the first SIGINT or SIGTERM (leave)",
    )


def add_choice(parser: argparse.ArgumentParser) -> None:
    """What commands take that work on some of the jobs of a spec."""
    add_select(parser, "only these jobs")
    parser.add_argument(
        "--exclude", metavar="S", type=selection_text, help="all but these jobs; the same grammar"
    )
    parser.add_argument("--limit", metavar="N", type=positive, help="only the first N of them")


def add_select(parser: argparse.ArgumentParser, meaning: str) -> None:
    """`--select`, with what it means for the command."""
    parser.add_argument(
        "--select",
        metavar="S",
        type=selection_text,
        help=f'{meaning}, such as "tag:eu name:shop-*"',
    )


def add_telling(parser: argparse.ArgumentParser) -> None:
    """How a command that works on a batch tells of it."""
    parser.add_argument("--log-format", choices=["auto", "text", "json"], help="of stderr (auto)")
    parser.add_argument("--log-level", choices=["debug", "info", "warning", "error"])
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def add_accept_changes(parser: argparse.ArgumentParser) -> None:
    """What commands take that go on with a batch."""
    parser.add_argument(
        "--accept-changes",
        action="store_true",
        help="take the spec as it is now, instead of the batch's own copy",
    )
