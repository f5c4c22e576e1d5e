"""The lines of a crontab that start a spec on its schedule. No I/O."""

from __future__ import annotations

import shlex

from orchestrator.app.supervisors.cron_fields import plain_cron
from orchestrator.app.supervisors.installation import NO_RESTART, PAUSES_SECS, Installation
from orchestrator.errors import UsageError

LONGEST_COMMAND = 998
"""Cron refuses or cuts longer ones."""


def crontab(installation: Installation) -> str:
    """
    Lines to add to a crontab.

    Raises:
        UsageError: cron cannot express the schedule, or the paths are too long.
    """
    fields = plain_cron(installation.fields, "cron", star_steps=True)
    # Cron reads an unescaped % as the end of the line.
    command = shell_command(installation).replace("%", r"\%")
    if len(command) > LONGEST_COMMAND:
        raise UsageError(
            f"the command has {len(command)} characters, and cron allows {LONGEST_COMMAND}: use "
            "shorter paths, or `orchestrator schedule systemd`"
        )
    variables = {"SHELL": "/bin/sh", "PATH": search_path(installation)}
    if installation.zone_name is not None:
        variables["CRON_TZ"] = installation.zone_name
    lines = [f"{name}={value}" for name, value in variables.items()]
    return "\n".join([*_comments(installation), *lines, f"{fields} {command}", ""])


def shell_command(installation: Installation) -> str:
    """
    A line for `/bin/sh` that waits for the delay and runs the command, also again where it helps.

    No supervisor that runs this line restarts anything itself.
    """
    variables = "".join(
        f"{name}={shlex.quote(value)} " for name, value in installation.variables.items()
    )
    stop = "|".join(map(str, (0, *NO_RESTART)))
    pauses = " ".join(map(str, (*PAUSES_SECS, 0)))
    return (
        f"sleep {installation.delay_secs}; "
        f"cd {shlex.quote(str(installation.folder))} && set -a && "
        f". {shlex.quote(str(installation.environment_file))} && set +a || exit 2; "
        f"for pause in {pauses}; do {variables}{shlex.join(installation.call)}; code=$?; "
        f'case $code in {stop}) break;; esac; sleep "$pause"; done; exit "$code"'
    )


def search_path(installation: Installation) -> str:
    """The value of PATH: the folder of the command, and those of the system."""
    own = installation.command[0].rpartition("/")[0]
    return ":".join(dict.fromkeys((own, "/usr/local/bin", "/usr/bin", "/bin")))


def environment_steps(installation: Installation) -> list[str]:
    """How to make the environment file, line by line."""
    path = shlex.quote(str(installation.environment_file))
    lines = [
        f"Make {installation.environment_file}, which only you may read:",
        f"    install -D -m 600 /dev/null {path}",
        "Write a line NAME='value' into it for each of these variables:",
        *(f"    {name}" for name in installation.needs),
    ]
    if not installation.needs:
        lines[2:] = ["It may stay empty: the batch needs no secret."]
    if installation.offers:
        lines.append(f"Set now, and perhaps needed too: {', '.join(installation.offers)}")
    return lines


def _comments(installation: Installation) -> list[str]:
    lines = [
        f"orchestrator: the batch {installation.name}",
        *environment_steps(installation),
        "Add these lines to the crontab of your user: crontab -e",
        f"The start waits {installation.delay_secs} s, so that not all machines start at once.",
        "Cron restarts nothing, so the line does: after 5, 70 and signals, at most 5 times.",
        "Cron mails the output to MAILTO; without a mail server, use [notify] in the spec.",
    ]
    if installation.zone_name is not None:
        lines += [
            "CRON_TZ works in cronie (Fedora, RHEL, Arch, SUSE). The cron of Debian and Ubuntu",
            f"ignores it: there the machine itself must be in {installation.zone_name}, or use",
            "`orchestrator schedule systemd`.",
        ]
    return [f"# {line}" for line in lines]
