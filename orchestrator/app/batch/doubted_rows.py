"""Warns of rows of a batch that may not be all that are meant, or more."""

from __future__ import annotations

from orchestrator.event_log import LOG


def doubt_rows(sentence: str) -> None:
    """Writes a doubt about rows into the log, as a sentence."""
    LOG.warning("rows_doubted", reason=sentence)
