"""The address of a platform."""

from __future__ import annotations

from urllib.parse import urlsplit

from orchestrator.errors import ConfigError

DEFAULT_BASE_URL = "https://api.apify.com"


def root_of(base_url: str) -> str:
    """
    The address that paths such as `/v2/actor-runs` are appended to.

    Raises:
        ConfigError: it is not an http or https address.
    """
    try:
        parts = urlsplit(base_url.strip())
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        # The host or the port is not valid.
        is_address = False
    if not is_address:
        # Only what can hold no password and no token.
        shown = base_url.rpartition("@")[2].partition("?")[0].partition("#")[0]
        raise ConfigError(
            f"{shown!r} is not the address of a platform; expected something like "
            f"{DEFAULT_BASE_URL} (APIFY_API_BASE_URL)"
        )
    # Errors and logs quote the host as it is written here: a password in it would be shown.
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError(
            f"the platform's address at {parts.hostname} must not hold a user, a query or a "
            "fragment (APIFY_API_BASE_URL); the token has its own setting"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/v2')}"
