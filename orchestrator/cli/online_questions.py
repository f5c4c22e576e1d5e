"""What commands ask the platform only with `--online`."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from orchestrator.app.outputs.online_verification import Difference, verify_online
from orchestrator.app.plan.account_forecast import Account, ask_account
from orchestrator.app.plan.forecast import History
from orchestrator.app.plan.online_validation import Answers, ask_platform
from orchestrator.cli.batch_run import make_context
from orchestrator.cli.command_settings import settings_of
from orchestrator.cli.event_loop import in_event_loop
from orchestrator.model.batches import BatchPlan
from orchestrator.model.ids import JobKey
from orchestrator.model.item_sweeps import ItemSweep
from orchestrator.model.jobs import Demand, Job
from orchestrator.model.selection import Selection


def ask_about_account(
    options: argparse.Namespace, plan: BatchPlan, demands: Collection[Demand], history: History
) -> Account:
    """What the account says about a plan; see `ask_account`."""
    context = make_context(options, settings_of(options))
    return in_event_loop(ask_account, plan, context, demands, history)


def ask_about_jobs(
    options: argparse.Namespace, jobs: Iterable[Job], sweeps: Iterable[ItemSweep]
) -> Answers:
    """What the platform says about jobs; see `ask_platform`."""
    context = make_context(options, settings_of(options))
    return in_event_loop(ask_platform, jobs, sweeps, context)


def ask_about_results(
    options: argparse.Namespace, folder: Path, selection: Selection
) -> Mapping[JobKey, Difference]:
    """What the platform says about the results of a batch; see `verify_online`."""
    context = make_context(options, settings_of(options))
    return in_event_loop(verify_online, folder, context, selection)
