"""
Events for the log: a name in snake_case and past tense, and facts.

They go by the standard library's logging: whoever uses a part of this as a library finds them in
the logger `orchestrator`, with the facts in `record.facts`. The command's own handler is in
`orchestrator.app.setup.log_file`.
"""

from __future__ import annotations

import logging

LOGGER = logging.getLogger("orchestrator")
LOGGER.addHandler(logging.NullHandler())


def debug(event: str, /, **facts: object) -> None:
    """Explains a decision."""
    if LOGGER.isEnabledFor(logging.DEBUG):
        LOGGER.debug(event, extra={"facts": facts})


def info(event: str, /, **facts: object) -> None:
    """Marks a change of state."""
    if LOGGER.isEnabledFor(logging.INFO):
        LOGGER.info(event, extra={"facts": facts})


def warning(event: str, /, **facts: object) -> None:
    """Wants eyes."""
    LOGGER.warning(event, extra={"facts": facts})


def exception(event: str, /, **facts: object) -> None:
    """Wants hands: a bug, with its traceback; call it while it is handled."""
    LOGGER.error(event, extra={"facts": facts}, exc_info=True)  # noqa: LOG014 - the caller handles it
