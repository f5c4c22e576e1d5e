"""
The options of a client: where the platform is, who calls, and how long to wait for what.

Three things are called timeout elsewhere and have three names here: the deadlines of a request (the
`…_timeout_secs` of this module), the wait of a long poll (`wait_secs`) and the run's own timeout
(`RunOptions.timeout_secs`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from pydantic import SecretStr

from orchestrator.errors import ConfigError
from orchestrator.platform_address import DEFAULT_BASE_URL
from orchestrator.version import __version__

# About 20 seconds together: a refusal that lasts longer is believed.
REFUSAL_PAUSES_SECS = (2.0, 6.0, 13.0)
SYNC_WAIT_SECS = 300.0
USER_AGENT = f"orchestrator/{__version__}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """
    How to reach the platform.

    Attributes:
        base_url: with or without `/v2` and a slash at its end.
        token: sent in a header to this address and nowhere else.
        path_prefix: of Actor endpoints: `acts`, or `actors` as newer documents say.
        user_agent: without spaces; a start adds its mark.
        connect_timeout_secs: until there is a connection.
        first_byte_timeout_secs: from the end of a request to its answer, beyond the wait asked for.
        silence_timeout_secs: between two pieces of a body.
        whole_timeout_secs: of an exchange with a small answer, beyond the wait asked for.
        start_deadline_secs: of a start with all its repeats, beyond the wait asked for: a start
            that has no effect by then has none at all.
        away_secs: how long a request that is safe to repeat is repeated.
        refusal_pauses_secs: the pauses after which a refusal is asked for again before it counts.
        sync_wait_secs: how long the platform holds a synchronous start (API reference, "Run Actor
            synchronously").
        max_polls: answers that wait for the end of a run at once; further ones wait for their turn.
            None for any number.
        max_answer_bytes: of an answer that is read into memory.
    """

    base_url: str = DEFAULT_BASE_URL
    token: SecretStr | None = None
    path_prefix: str = "acts"
    user_agent: str = USER_AGENT
    connect_timeout_secs: float = 10.0
    first_byte_timeout_secs: float = 30.0
    silence_timeout_secs: float = 60.0
    whole_timeout_secs: float = 120.0
    start_deadline_secs: float = 30.0
    away_secs: float = 3600.0
    refusal_pauses_secs: tuple[float, ...] = REFUSAL_PAUSES_SECS
    sync_wait_secs: float = SYNC_WAIT_SECS
    max_polls: int | None = None
    max_answer_bytes: int = 64 * 1024 * 1024


def chosen_options(
    options: ClientOptions | None, *, token: str | SecretStr | None, base_url: str | None
) -> ClientOptions:
    """
    The options of a client; without them, those of the environment.

    Args:
        options: complete; then neither of the others is given.
        token: None for `APIFY_TOKEN`, or else the token that `apify login` saved.
        base_url: None for `APIFY_API_BASE_URL`, or else Apify's own.

    Raises:
        ConfigError: options are given twice, the token is not valid, or there is none.
    """
    if options is not None:
        if token is not None or base_url is not None:
            raise ConfigError("ApifyClient: give options, or token and base_url, not both")
        return options
    # Imported late: a client of the commands gets its options.
    from orchestrator.api_token import NOT_LOGGED_IN, checked_token, saved_token

    text = os.environ.get("APIFY_TOKEN", "") if token is None else token
    try:
        given = checked_token(text) if isinstance(text, str) else text
    except ValueError as error:
        raise ConfigError(f"ApifyClient: {error}") from error
    found = given or (saved_token() if token is None else None)
    if found is None:
        raise ConfigError(f'{NOT_LOGGED_IN}, or write ApifyClient(token="…")')
    address = base_url or os.environ.get("APIFY_API_BASE_URL") or DEFAULT_BASE_URL
    return ClientOptions(base_url=address, token=found)
