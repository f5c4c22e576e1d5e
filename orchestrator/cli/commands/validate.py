"""`orchestrator validate`: lists all mistakes in specs, without a network."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.app.batch.creation import sweeps_of
from orchestrator.app.occurrences.schedules import schedule_of
from orchestrator.errors import SpecError
from orchestrator.model.item_sweeps import ItemSweep
from orchestrator.model.jobs import Job
from orchestrator.safe_text import SHORTEST
from orchestrator.specfile import LoadedSpec, expand, load_spec

if TYPE_CHECKING:
    from orchestrator.app.plan.online_validation import Answers


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    code, answers = 0, []
    for path in options.specs:
        try:
            answer = _answer(path, options)
        except SpecError as error:
            answer = _refusal(path, error)
            if not options.json:
                sys.stderr.write(f"{error}\n")
        answers.append(answer)
        if not answer["valid"]:
            code = SpecError.exit_code
        elif not options.json:
            print(f"{path}: valid, {answer['jobs']:,} jobs")
    if options.json:
        print(json.dumps({"specs": answers}))
    return code


def _answer(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """
    The answer for a spec without mistakes of its own.

    Raises:
        SpecError: the spec has mistakes.
    """
    loaded = load_spec(path, output=options.output)
    schedule = schedule_of(loaded.spec.batch, None)
    params, day = dict(options.param), schedule.day_of(schedule.at(datetime.now(UTC)))
    jobs = expand(loaded, params=params, env=os.environ, today=day, output=options.output)
    warnings = list(_short_secrets(loaded))
    if not options.online:
        count = sum(1 for _ in jobs)
        _warn(warnings, options)
        return {"spec": str(path), "valid": True, "jobs": count, "warnings": warnings}
    listed = list(jobs)
    online = _ask(listed, sweeps_of(loaded, params, day), options)
    if not options.json:
        for sentence in online.mistakes:
            sys.stderr.write(f"{path}: {sentence}\n")
    warnings += online.warnings
    _warn(warnings, options)
    return {
        "spec": str(path),
        "valid": not online.mistakes,
        "jobs": len(listed),
        "inputs_checked": online.asked,
        "online_mistakes": online.mistakes,
        "warnings": warnings,
    }


def _short_secrets(loaded: LoadedSpec) -> Iterator[str]:
    """What is too short to be kept out of files and messages, in words; not the values."""
    for name in loaded.variables:
        if len(os.environ.get(name, "?" * SHORTEST)) < SHORTEST:
            yield (
                f"{loaded.path}: the value of the environment variable {name} has fewer than "
                f"{SHORTEST} characters, so it is not kept out of files and messages"
            )


def _warn(warnings: Iterable[str], options: argparse.Namespace) -> None:
    if not options.json:
        for sentence in warnings:
            sys.stderr.write(f"warning: {sentence}\n")


def _ask(jobs: list[Job], sweeps: Iterable[ItemSweep], options: argparse.Namespace) -> Answers:
    # What asks the platform takes a third of the start of the command, which rarely needs it.
    from orchestrator.cli.online_questions import ask_about_jobs

    return ask_about_jobs(options, jobs, sweeps)


def _refusal(path: Path, error: SpecError) -> dict[str, Any]:
    return {
        "spec": str(path),
        "valid": False,
        "mistakes": [
            {name: getattr(mistake, name) for name in mistake.__slots__}
            for mistake in error.mistakes
        ],
        "mistakes_total": error.total,
    }
