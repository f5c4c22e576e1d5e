"""`orchestrator doctor`: says what would keep a batch from running, and what to do."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

from orchestrator.app.doctor.account_checks import check_account
from orchestrator.app.doctor.findings import Finding, State, problem
from orchestrator.app.doctor.ledger_checks import check_ledger
from orchestrator.app.doctor.machine_checks import check_machine
from orchestrator.app.notifications.recipients import addresses_of, require_library
from orchestrator.app.notifications.trial import send_trials
from orchestrator.app.occurrences.schedules import schedule_of
from orchestrator.app.setup.settings import Settings
from orchestrator.cli.batch_run import make_context
from orchestrator.cli.command_settings import settings_of
from orchestrator.cli.event_loop import in_event_loop
from orchestrator.errors import ConfigError, SpecError, UsageError
from orchestrator.model.batches import NotifyPlan
from orchestrator.safe_text import plain
from orchestrator.specfile import LoadedSpec, expand, load_spec
from orchestrator.specfile.notify_urls import name_and_plan_in, plan_of_table

NO_ADDRESS = (
    "set urls or ping_url in [notify] of a spec and name the spec, or set ORCHESTRATOR_NOTIFY_URLS "
    "or ORCHESTRATOR_PING_URL"
)


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    try:
        settings = settings_of(options)
    except ConfigError as error:
        findings = [problem("settings", str(error), "correct the file or the variable")]
    else:
        findings = _check(settings, options)
    if options.json:
        print(json.dumps({"checks": [_fields(finding) for finding in findings]}))
    else:
        for finding in findings:
            _print(finding)
    return 1 if any(finding.state is State.PROBLEM for finding in findings) else 0


def _check(settings: Settings, options: argparse.Namespace) -> list[Finding]:
    findings = [*check_machine(settings), *check_ledger()]
    findings += _check_platform(settings, options)
    plan = None
    if options.spec is not None:
        try:
            loaded = load_spec(options.spec, output=settings.output)
            findings += _check_spec(loaded, settings)
            plan = plan_of_table(loaded.spec.notify)
        except SpecError as error:
            findings.append(problem("spec", str(error), "correct the spec"))
            _, plan = name_and_plan_in(options.spec)
    if options.notify:
        findings += _check_notify(settings, plan)
    return findings


def _check_platform(settings: Settings, options: argparse.Namespace) -> list[Finding]:
    try:
        settings.require_token()
    except ConfigError as error:
        return [problem("token", str(error), "set APIFY_TOKEN, or run `apify login`")]
    try:
        return in_event_loop(check_account, make_context(options, settings))
    except ConfigError as error:
        return [problem("platform", str(error), "correct what it names")]


def _check_spec(loaded: LoadedSpec, settings: Settings) -> Iterator[Finding]:
    schedule = schedule_of(loaded.spec.batch, settings.schedule)
    now = datetime.now(UTC)
    day = schedule.day_of(schedule.at(now))
    jobs = sum(1 for _ in expand(loaded, env=os.environ, today=day, output=settings.output))
    following = schedule.after(now).astimezone(schedule.zone)
    yield Finding(
        about="spec",
        found=f"{loaded.path}: valid, {jobs:,} jobs; the next occurrence is "
        f"{following:%Y-%m-%d %H:%M} ({schedule.zone})",
    )


def _check_notify(settings: Settings, plan: NotifyPlan | None) -> Iterator[Finding]:
    addresses = addresses_of(plan, settings, os.environ)
    if not addresses.urls and addresses.ping_url is None:
        yield problem("notify", "nobody would hear of a batch", NO_ADDRESS)
        return
    try:
        require_library(addresses)
    except UsageError as error:
        yield problem("notify", str(error), "install it")
    for trial in in_event_loop(send_trials, addresses, settings.notify_timeout_secs):
        if trial.reason is None:
            yield Finding(about="notify", found=f"{trial.name}: accepted a test")
        else:
            advice = "correct the URL, or check the service that it names"
            yield problem("notify", f"{trial.name}: {trial.reason}", advice)


def _fields(finding: Finding) -> dict[str, str | None]:
    return {
        "about": finding.about,
        "state": finding.state.value,
        "found": plain(finding.found),
        "advice": finding.advice,
    }


def _print(finding: Finding) -> None:
    print(f"{finding.state.value:8} {finding.about}: {plain(finding.found)}")
    if finding.advice is not None:
        sys.stdout.write(f"{'':8} {finding.advice}\n")
