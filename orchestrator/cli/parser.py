"""The commands, and the parser of the command line."""

from __future__ import annotations

import argparse

from orchestrator import __version__
from orchestrator.cli import command_arguments as arguments
from orchestrator.cli.schedule_arguments import add_schedule

COMMANDS = {
    "run": ("run a spec as a new batch", arguments.add_run),
    "resume": ("continue a batch where it stopped", arguments.add_resume),
    "retry": ("run failed jobs again, into the same batch", arguments.add_retry),
    "abort": ("abort a batch's live runs, and keep their results", arguments.add_abort),
    "collect": ("download the results of a batch that are not on disk", arguments.add_collect),
    "export": ("write one table of all results of a batch", arguments.add_export),
    "verify": ("check a batch's files against its ledger, offline", arguments.add_verify),
    "logs": ("print the log of a job's run, and follow it while it runs", arguments.add_logs),
    "prune": ("remove old batches of a name", arguments.add_prune),
    "plan": ("print the jobs, time and cost of a spec; starts nothing", arguments.add_plan),
    "validate": ("list the mistakes in specs; starts nothing", arguments.add_validate),
    "status": ("print the state of a batch", arguments.add_status),
    "watch": ("follow a batch that another process runs", arguments.add_watch),
    "report": ("write a batch's reports again, and name the HTML page", arguments.add_report),
    "ui": ("serve a web page of all batches on this machine, live", arguments.add_ui),
    "list": ("list the batches under the output folder", arguments.add_list),
    "schedule": (
        "print what starts a spec on its schedule: cron, systemd, Kubernetes or Airflow",
        add_schedule,
    ),
    "init": ("write an example spec and config with comments", arguments.add_init),
    "import": ("print the spec of a run from the Console", arguments.add_import_run),
    "schema": ("print the JSON Schema of a spec, for editors", arguments.add_schema),
    "doctor": ("check token, limits, clock, disk and versions", arguments.add_doctor),
    "platform": ("run the local platform", arguments.add_platform),
}
"""The summary of each command, and the function that adds its arguments."""

EXIT_CODES = """\
exit codes:
  0         every job succeeded and its results are on disk
  1         the batch ended; some jobs failed
  2         bad spec, config or usage, or an unknown Actor or task; nothing was started
  3         stopped early: budget, plan, failures, deadline, disk full; can be resumed
  4         another process holds this batch
  5         the platform cannot be reached, or refuses the token
  70        a bug of ours; the log has the traceback
  129, 130, 143  interrupted by SIGHUP, SIGINT or SIGTERM; the batch can be resumed
"""


def make_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser with the arguments of one command; without a command, it lists all commands."""
    parser = argparse.ArgumentParser(
        prog="orchestrator",
        description="Run batches of Apify Actors and tasks: each run started once, every limit "
        "obeyed, nothing lost.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"orchestrator {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, (summary, add_arguments) in COMMANDS.items():
        subparser = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        # The arguments of the other commands are not needed, and take time to build.
        if command == name:
            subparser.set_defaults(command=name)
            add_arguments(subparser)
    return parser
