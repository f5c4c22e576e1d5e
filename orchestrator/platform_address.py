"""Addresses of the web, and that of a platform."""

from __future__ import annotations

from urllib.parse import urlsplit

from orchestrator.errors import ConfigError

DEFAULT_BASE_URL = "https://api.apify.com"


def is_web_address(text: str) -> bool:
    """Whether a text is an http or https address with a valid host and port."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def root_of(base_url: str) -> str:
    """
    The address that paths such as `/v2/actor-runs` are appended to.

    Raises:
        ConfigError: it is not an http or https address.
    """
    if not is_web_address(base_url.strip()):
        # Only what can hold no password and no token.
        shown = base_url.rpartition("@")[2].partition("?")[0].partition("#")[0]
        raise ConfigError(
            f"{shown!r} is not the address of a platform; expected something like "
            f"{DEFAULT_BASE_URL} (APIFY_API_BASE_URL)"
        )
    parts = urlsplit(base_url.strip())
    # Errors and logs quote the host as it is written here: a password in it would be shown.
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError(
            f"the platform's address at {parts.hostname} must not hold a user, a query or a "
            "fragment (APIFY_API_BASE_URL); the token has its own setting"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/v2')}"
