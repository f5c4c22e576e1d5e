"""The commands in groups, each with its summary, its arguments and examples."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import NamedTuple

from orchestrator.cli import command_arguments as arguments
from orchestrator.cli.schedule_arguments import add_schedule


class Command(NamedTuple):
    """
    A command of the command line.

    Attributes:
        summary: what it does, in a line.
        add_arguments: adds its arguments to its parser.
        examples: calls with their comments, a line each.
    """

    summary: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    examples: tuple[str, ...] = ()


GROUPS: Mapping[str, Mapping[str, Command]] = {
    "run batches": {
        "run": Command(
            "run a spec as a new batch",
            arguments.add_run,
            (
                "orchestrator run batch.toml --local            try it on the embedded platform",
                "orchestrator run batch.toml --param country=fr --limit 5",
                "orchestrator run nightly.toml --resume         the line for cron and systemd",
                "orchestrator run nightly.toml --dates 2026-11-01..2026-11-07",
            ),
        ),
        "resume": Command(
            "continue a batch where it stopped",
            arguments.add_resume,
            ("orchestrator resume nightly                    the newest batch of this name",),
        ),
        "retry": Command(
            "run failed jobs again, into the same batch",
            arguments.add_retry,
            (
                "orchestrator retry nightly --dry-run           list the jobs first",
                'orchestrator retry nightly --select "status:TIMED-OUT"',
            ),
        ),
        "abort": Command(
            "abort a batch's live runs, and keep their results",
            arguments.add_abort,
            ("orchestrator abort nightly",),
        ),
    },
    "look at batches": {
        "status": Command(
            "print the state of a batch",
            arguments.add_status,
            (
                "orchestrator status                            the newest batch of all",
                "orchestrator status nightly --why search-us-1  what a job waits for",
            ),
        ),
        "watch": Command(
            "follow a batch that another process runs",
            arguments.add_watch,
            ("orchestrator watch nightly",),
        ),
        "list": Command(
            "list the batches under the output folder",
            arguments.add_list,
            ("orchestrator list nightly",),
        ),
        "logs": Command(
            "print the log of a job's run, and follow it while it runs",
            arguments.add_logs,
            ("orchestrator logs nightly search-us-1",),
        ),
        "report": Command(
            "write a batch's reports again, and name the HTML page",
            arguments.add_report,
            ("orchestrator report nightly",),
        ),
        "ui": Command(
            "serve a web page of all batches on this machine, live",
            arguments.add_ui,
            ("orchestrator ui",),
        ),
    },
    "keep results": {
        "collect": Command(
            "download the results of a batch that are not on disk",
            arguments.add_collect,
            (
                "orchestrator collect nightly",
                "orchestrator collect --task me/my-task --last 24h --name imported",
            ),
        ),
        "export": Command(
            "write one table of all results of a batch",
            arguments.add_export,
            (
                "orchestrator export nightly --format parquet",
                "orchestrator export nightly --format csv --since 2026-11-01 --to month.csv",
            ),
        ),
        "verify": Command(
            "check a batch's files against its ledger, offline",
            arguments.add_verify,
            ("orchestrator verify nightly",),
        ),
        "prune": Command(
            "remove old batches of a name",
            arguments.add_prune,
            ("orchestrator prune nightly --keep-last 30 --dry-run",),
        ),
    },
    "write specs": {
        "init": Command(
            "write an example spec and config with comments",
            arguments.add_init,
            (
                "orchestrator init my-batch",
                "orchestrator init my-batch --yaml",
            ),
        ),
        "validate": Command(
            "list the mistakes in specs; starts nothing",
            arguments.add_validate,
            ("orchestrator validate batch.toml",),
        ),
        "plan": Command(
            "print the jobs, time and cost of a spec; starts nothing",
            arguments.add_plan,
            ("orchestrator plan batch.toml --online",),
        ),
        "import": Command(
            "print the spec of a run from the Console",
            arguments.add_import_run,
            ("orchestrator import HG7ML7M8z78YcAPEB > batch.toml",),
        ),
        "schema": Command(
            "print the JSON Schema of a spec, for editors",
            arguments.add_schema,
            ("orchestrator schema --write orchestrator.schema.json",),
        ),
    },
    "set up": {
        "schedule": Command(
            "print what starts a spec on its schedule: cron, systemd, Kubernetes or Airflow",
            add_schedule,
            (
                "orchestrator schedule systemd nightly.toml",
                'orchestrator schedule cron nightly.toml --at "15 2 * * *"',
            ),
        ),
        "doctor": Command(
            "check token, limits, clock, disk and versions",
            arguments.add_doctor,
            (
                "orchestrator doctor",
                "orchestrator doctor nightly.toml --notify      send a test notification",
            ),
        ),
        "completion": Command(
            "print the completion script of a shell",
            arguments.add_completion,
            (
                "source <(orchestrator completion bash)         in ~/.bashrc",
                "orchestrator completion zsh > ~/.zfunc/_orchestrator",
                "orchestrator completion fish > ~/.config/fish/completions/orchestrator.fish",
            ),
        ),
        "platform": Command(
            "run the local platform",
            arguments.add_platform,
            ("orchestrator platform serve --port 8080",),
        ),
    },
}
COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}
