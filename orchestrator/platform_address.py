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
    parts = urlsplit(base_url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"{base_url!r} is not the address of a platform; expected something like "
            f"{DEFAULT_BASE_URL} (APIFY_API_BASE_URL)"
        )
    # Errors and logs quote the host as it is written here: a password in it would be shown.
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError(
            f"the platform's address at {parts.hostname} must not hold a user, a query or a "
            "fragment (APIFY_API_BASE_URL); the token has its own setting"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/v2')}"
