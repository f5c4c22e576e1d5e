"""`orchestrator plan`: prints the jobs, time and cost of a spec; starts nothing."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.app.batch.creation import plan_of
from orchestrator.app.batch.spec_changes import changes_of
from orchestrator.app.batch_folders import LEDGER, find_batch
from orchestrator.app.history.absent_batches import absent_batches
from orchestrator.app.occurrences.schedules import schedule_of
from orchestrator.app.plan.forecast import (
    REQUESTS_A_RUN,
    Estimate,
    Forecast,
    estimate,
    forecast,
    own_history,
)
from orchestrator.app.plan.reused_jobs import ReusedJobs
from orchestrator.cli.command_settings import choice_of, settings_of
from orchestrator.cli.streams import terminal_size
from orchestrator.ledger.amendments import definitions
from orchestrator.model.batches import BatchPlan, Series
from orchestrator.model.ids import BatchName
from orchestrator.model.jobs import Job
from orchestrator.platform_address import root_of
from orchestrator.report.plan_screen import plan_lines
from orchestrator.specfile import expand, load_spec

if TYPE_CHECKING:
    from orchestrator.app.plan.account_forecast import Account


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    settings = settings_of(options)
    loaded = load_spec(options.spec, output=settings.output)
    schedule = schedule_of(loaded.spec.batch, settings.schedule)
    day = options.date or schedule.day_of(schedule.at(datetime.now(UTC)))
    params, choice = dict(options.param), choice_of(options)
    plan = plan_of(loaded, params=params, choice=choice, day=day, local=None)

    def jobs() -> Iterator[Job]:
        return choice.of(
            expand(
                loaded,
                params=params,
                env=os.environ,
                today=day,
                output=settings.output,
                absent=absent_batches(settings.output, is_local=False),
            )
        )

    series = Series(
        name=BatchName(loaded.spec.batch.name),
        # Not the local platform: what cost nothing there, or is reused there, is neither here.
        platform=root_of(settings.api_base_url),
        params=params,
        choice=choice,
    )
    home = settings.output / series.name
    history = own_history(home, series)
    made = forecast(jobs(), history, plan.sweeps, ReusedJobs(home, series).takes)
    account = None
    if options.online:
        # What asks the platform takes a third of the start of the command, which rarely needs it.
        from orchestrator.cli.online_questions import ask_about_account

        account = ask_about_account(options, plan, list(made.groups), history)
        made = forecast(jobs(), history, plan.sweeps, ReusedJobs(home, series).takes)
    figures = estimate(made, plan, None if account is None else account.room)
    answer = _answer(series.name, plan, made, figures, account)
    if options.diff is not None:
        answer["diff"] = _diff(settings.output, options.diff, plan, jobs())
    if options.json:
        print(json.dumps(answer))
    else:
        width = terminal_size(sys.stdout).columns if sys.stdout.isatty() else None
        print("\n".join(plan_lines(answer, width)))
    return 0


def _answer(
    name: str, plan: BatchPlan, made: Forecast, figures: Estimate, account: Account | None
) -> dict[str, Any]:
    # Each of them counts as one job, because how many there will be is not known.
    later = Counter(one.sweep.demand.target for one in made.later if one.usual is None)
    unknown = [
        f"the {what} of {_jobs(count - later[target], later[target])} of {target}, because there "
        "is no earlier run"
        for what, counts in (("time", made.untimed), ("cost", made.unpriced))
        for target, count in (+counts).items()
    ]
    if account is None and figures.duration_secs is None and not +made.untimed:
        unknown.append("the limit of runs of the account: use --online, or set max_runs")
    if account is None and plan.max_cost_usd is not None:
        unknown += [
            f"the cap that each run of {target} gets from us, because max_cost_usd needs one and "
            "the job has no max_total_charge_usd: use --online"
            for target in dict.fromkeys(d.target for d in made.groups if d.cap_usd is None)
        ]
    ranges = {
        field: None if value is None else {k: round(v, 4) for k, v in asdict(value).items()}
        for field, value in (
            ("memory_gbyte_hours", figures.memory_gbyte_hours),
            ("duration_secs", figures.duration_secs),
            ("cost_usd", figures.cost_usd),
        )
    }
    return {
        "version": 1,
        "batch": name,
        "jobs": made.jobs,
        "reused": made.reused,
        "runs": made.jobs - made.reused,
        "runs_most": made.runs_most,
        "later": [
            {
                "name": later.sweep.name,
                "needs": list(later.sweep.needs),
                "usual_jobs": later.usual,
                "said": str(later),
            }
            for later in made.later
        ],
        "requests": (made.jobs - made.reused + made.usual_later) * REQUESTS_A_RUN,
        **ranges,
        "max_cost_usd": None if plan.max_cost_usd is None else float(plan.max_cost_usd),
        "binds": figures.binds,
        "account": None if account is None else _account_facts(account),
        "prices": None if account is None else _prices(account),
        "caps": None if account is None else _caps(made, account),
        "unknown": unknown,
        "first": [_in_full(job) for job in made.first],
        "last": [_in_full(job) for job in made.last],
    }


def _jobs(count: int, sweeps: int) -> str:
    """So many jobs, and those that so many sweeps make later."""
    listed = "1 job" if count == 1 else f"{count:,} jobs"
    if not sweeps:
        return listed
    return f"{listed} and the later ones" if count else "the later jobs"


def _account_facts(account: Account) -> dict[str, Any]:
    return {
        "max_runs": account.room.max_runs,
        "max_memory_mbytes": account.room.max_memory_mbytes,
        "monthly_usage_usd": None if account.used_usd is None else float(account.used_usd),
        "max_monthly_usage_usd": None if account.most_usd is None else float(account.most_usd),
    }


def _prices(account: Account) -> dict[str, Any]:
    return {
        str(target): {
            "model": price.model,
            "usd": {name: float(usd) for name, usd in price.usd.items()},
        }
        for target, price in account.prices.items()
    }


def _caps(made: Forecast, account: Account) -> dict[str, Any]:
    """The largest cap of each Actor or task that `max_cost_usd` would lead to."""
    caps: dict[str, Any] = {}
    for demand in made.groups:
        claim = account.room.claim_of(demand)
        if claim.caps_itself or account.room.unpriced(demand):
            continue
        floor, cap = account.room.floor_of(demand), float(claim.reserve_usd)
        before = caps.get(str(demand.target))
        if before is None or before["cap_usd"] < cap:
            caps[str(demand.target)] = {
                "cap_usd": cap,
                "floor_usd": None if floor is None else float(floor),
                "reason": account.room.why_cap(demand),
            }
    return caps


def _in_full(job: Job) -> dict[str, Any]:
    """A job as it will start; values of `env` and `needs` are still expressions."""
    options = {k: v for k, v in asdict(job.options).items() if v not in (None, ())}
    return {
        "key": job.key,
        job.target.kind.value: job.target.id,
        "input": json.loads(job.input.body) if job.input.body is not None else job.input.path,
        **{name: float(v) if name.endswith("_usd") else v for name, v in options.items()},
        "pools": list(job.pools),
        "tags": list(job.tags),
        "needs": list(job.needs),
        "retries": job.retries,
        "priority": job.priority,
    }


def _diff(output: Path, name: str, plan: BatchPlan, jobs: Iterator[Job]) -> dict[str, Any]:
    folder = find_batch(output, name)
    changes = changes_of(folder, plan, definitions(folder / LEDGER), jobs)
    return {
        "batch": str(folder),
        "added": [job.key for job in changes.added],
        "changed": [job.key for job in changes.changed],
        "removed": [*changes.removed],
    }
