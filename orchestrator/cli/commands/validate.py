"""`orchestrator validate`: the mistakes of specs, all at once, without any network."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli.arguments import SPEC_HELP, given_path, pair, settings_of

if TYPE_CHECKING:
    from orchestrator.app.plan.online_validation import Answers
    from orchestrator.errors import SpecError
    from orchestrator.model.jobs import Job


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
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


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    import json
    import sys

    from orchestrator.errors import SpecError

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
    What is to be said of a spec without mistakes of its own.

    Raises:
        SpecError: it has some.
    """
    import os
    import sys
    from datetime import UTC, datetime

    from orchestrator.app.occurrences.schedules import schedule_of
    from orchestrator.specfile import expand, load_spec

    loaded = load_spec(path)
    schedule = schedule_of(loaded.spec.batch)
    jobs = expand(
        loaded,
        params=dict(options.param),
        env=os.environ,
        today=schedule.day_of(schedule.at(datetime.now(UTC))),
        output=options.output,
    )
    if not options.online:
        return {"spec": str(path), "valid": True, "jobs": sum(1 for _ in jobs)}
    listed = list(jobs)
    told = _ask(listed, options)
    if not options.json:
        for sentence in told.mistakes:
            sys.stderr.write(f"{path}: {sentence}\n")
        for sentence in told.warnings:
            sys.stderr.write(f"warning: {sentence}\n")
    return {
        "spec": str(path),
        "valid": not told.mistakes,
        "jobs": len(listed),
        "inputs_checked": told.asked,
        "online_mistakes": told.mistakes,
        "warnings": told.warnings,
    }


def _ask(jobs: list[Job], options: argparse.Namespace) -> Answers:
    from orchestrator.app.plan.online_validation import ask_platform
    from orchestrator.cli.batch_run import make_context
    from orchestrator.cli.event_loop import in_event_loop

    return in_event_loop(ask_platform, jobs, make_context(options, settings_of(options)))


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
