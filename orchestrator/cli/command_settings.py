"""The settings and the choice of jobs that a command was given."""

from __future__ import annotations

import argparse
import json
import sys
from functools import cache

from orchestrator.app.setup.settings import Settings, load_settings, unknown_variables
from orchestrator.event_log import configure_logs
from orchestrator.ledger.location import configure as configure_ledgers
from orchestrator.model.selection import Choice


def settings_of(options: argparse.Namespace) -> Settings:
    """
    The settings, in which the flags of the command line win.

    It also sets up logs, so that warnings go to stderr.

    Raises:
        ConfigError: with every problem.
    """
    names = ("output", "ledger", "max_runs", "log_format", "log_level", "metrics_file")
    flags = {name: value for name in names if (value := getattr(options, name, None)) is not None}
    settings = load_settings(config=options.config, flags=flags)
    url = None if settings.ledger is None else settings.ledger.get_secret_value()
    configure_ledgers(url, settings.platform_away_secs)
    configure_logs(level="warning", as_json=settings.log_format == "json")
    _warn_of_variables(as_json=settings.log_format == "json")
    return settings


def choice_of(options: argparse.Namespace) -> Choice:
    """The jobs of a spec that the command line selects."""
    return Choice(select=options.select, exclude=options.exclude, limit=options.limit)


@cache
def _warn_of_variables(*, as_json: bool) -> None:
    """Warns once of variables that look like settings but are not."""
    for name in unknown_variables():
        sentence = f"the environment variable {name} is not a setting; it is ignored"
        event = {"event": "variable_ignored", "level": "warning", "variable": name}
        sys.stderr.write(f"{json.dumps(event) if as_json else 'warning: ' + sentence}\n")
