"""The client: every endpoint that running Actors and tasks needs, as plain methods."""

from __future__ import annotations

from orchestrator.apify.reads import Reads
from orchestrator.apify.starts import Starts


class ApifyClient(Starts, Reads):
    """
    A client of the Apify API, or of anything that speaks it; an async context manager.

    All methods may be called from many tasks at once. Each raises `PlatformError`s, which carry
    method, path, status and Apify's error type: a `TransientError` after having repeated for
    `away_secs` what may be repeated, a `PermanentError` or `NoRoom` at once.

    Args:
        options: where and how.
        transport: what carries requests; real HTTP when None.
        rng: where the jitter of pauses comes from.

    Cancellation: a cancelled call leaves the client usable. What a start has done by then is
    unknown.
    """
