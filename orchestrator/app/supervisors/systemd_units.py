"""The units of systemd that start a spec on its schedule. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.app.supervisors.calendar_events import calendar_events
from orchestrator.app.supervisors.crontab import environment_steps, search_path
from orchestrator.app.supervisors.installation import (
    HELD,
    MOST_RESTARTS,
    NO_RESTART,
    PAUSES_SECS,
    Installation,
)

FOLDER = "/etc/systemd/system"
DAY_SECS = 86_400


def systemd_units(installation: Installation, user: str, *, backs_off: bool) -> dict[str, str]:
    """
    The service and the timer, by their paths.

    Args:
        user: who runs the command.
        backs_off: whether this systemd can make each pause longer than the one before.

    Raises:
        UsageError: systemd cannot express the schedule.
    """
    name = f"{FOLDER}/orchestrator-{installation.slug}"
    return {
        f"{name}.service": _service(installation, user, backs_off=backs_off),
        f"{name}.timer": _timer(installation),
    }


def _service(installation: Installation, user: str, *, backs_off: bool) -> str:
    variables = {"PATH": search_path(installation), **installation.variables}
    environment = "\n".join(
        f"Environment={_quoted(f'{name}={value}')}" for name, value in variables.items()
    )
    steps = "\n".join(f"# {line}" for line in environment_steps(installation))
    return f"""\
{steps}
[Unit]
Description=Apify batch {_literal(installation.name)}
Wants=network-online.target
After=network-online.target
# One start and {MOST_RESTARTS} restarts for each occurrence.
StartLimitIntervalSec={_limit_secs(installation)}
StartLimitBurst={MOST_RESTARTS + 1}

[Service]
Type=oneshot
User={user}
WorkingDirectory={_literal(str(installation.folder))}
{environment}
EnvironmentFile={_literal(str(installation.environment_file))}
ExecStart={" ".join(map(_quoted, _without_dollar(installation.call)))}
Restart=on-failure
RestartPreventExitStatus={" ".join(map(str, NO_RESTART))}
RestartSec={PAUSES_SECS[0]}
{_back_off(backs_off)}\
SuccessExitStatus={HELD}
TimeoutStopSec=30
NoNewPrivileges=true
"""


def _timer(installation: Installation) -> str:
    events = calendar_events(installation.fields, installation.zone_name)
    lines = [f"OnCalendar={event}" for event in events]
    gaps = installation.gaps()
    if gaps and installation.zone_name is not None:
        lines.append("# Days on which the clock skips that time, which systemd would leave out:")
        lines += [
            f"OnCalendar={gap.ends:%Y-%m-%d %H:%M:%S} {installation.zone_name}" for gap in gaps
        ]
    listed = "\n".join(lines)
    unit = f"orchestrator-{installation.slug}.timer"
    return f"""\
# Enable it: systemctl daemon-reload && systemctl enable --now {unit}
[Unit]
Description=Schedule of the Apify batch {_literal(installation.name)}

[Timer]
{listed}
Persistent=true
RandomizedDelaySec={installation.jitter_secs}
FixedRandomDelay=true

[Install]
WantedBy=timers.target
"""


def _back_off(backs_off: bool) -> str:
    if not backs_off:
        return ""
    return f"RestartSteps={MOST_RESTARTS}\nRestartMaxDelaySec={PAUSES_SECS[-1]}\n"


def _limit_secs(installation: Installation) -> int:
    """
    The span in which starts are counted.

    It is shorter than the interval, so that the restarts of one occurrence never prevent the start
    of the next one.
    """
    interval = installation.interval().total_seconds()
    return int(min(interval, DAY_SECS) * 0.9) - installation.jitter_secs


def _without_dollar(words: Sequence[str]) -> list[str]:
    """The words of a command line, in which systemd expands no variable."""
    return [word.replace("$", "$$") for word in words]


def _literal(text: str) -> str:
    """A text in which systemd expands nothing."""
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """A word in quotes if it needs them, as systemd reads it."""
    word = _literal(word)
    if word and not set(word) & set(" \t'\"\\;"):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
