"""Which parts are installed on request, and the command that installs them."""

from __future__ import annotations

from enum import StrEnum

DISTRIBUTION = "apify-batch"
"""The name of the project on package indexes."""


class Extra(StrEnum):
    """An optional part of the installation."""

    NOTIFY = "notify"
    PARQUET = "parquet"
    REMOTE = "remote"
    SCHEMA = "schema"


def not_installed(extra: Extra) -> str:
    """Return the end of a message that says what to do about a library that is not installed."""
    return f"needs a library that is not installed: pip install '{DISTRIBUTION}[{extra}]'"
