"""What `orchestrator run --on ENGINE` can be called with; imports nothing heavy."""

from __future__ import annotations

import argparse

from orchestrator.app.occurrences.spec_run import SpecRun
from orchestrator.errors import UsageError


def refuse_options(options: argparse.Namespace, *, has_server: bool) -> None:
    """
    Refuses what an engine cannot do.

    Raises:
        UsageError.
    """
    if not has_server:
        raise UsageError("--on needs a ledger that all workers reach: add --ledger postgresql://…")
    if str(options.spec) == "-":
        raise UsageError("--on: the spec must be a file, because workers get a copy of its folder")
    for name in ("local", "shard", "dates", "concurrent", "accept_changes", "metrics_file"):
        if getattr(options, name):
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"--on starts shards on workers, which {option} does not fit")


async def run_on_engine(run: SpecRun, options: argparse.Namespace) -> int:
    """Runs the batch of the occurrence on an engine; returns the exit code."""
    # Other calls need none of it.
    from orchestrator.cli.engine_run import follow_on_engine

    return await follow_on_engine(run, options)
