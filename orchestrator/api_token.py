"""The API token: which text can be one, and the one that `apify login` saved."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pydantic import SecretStr

from orchestrator.errors import ConfigError
from orchestrator.system_errors import error_of

NOT_LOGGED_IN = (
    "there is no API token: set APIFY_TOKEN (Apify Console, Settings, API & Integrations), or run "
    "`apify login`"
)


def checked_token(text: str) -> SecretStr | None:
    """
    A token without the line break that a file may have at its end; None for an empty text.

    Raises:
        ValueError: it has characters that no token has; the message does not show it.
    """
    token = text.rstrip("\r\n")
    if text and not re.fullmatch(r"[!-~]+", token):
        raise ValueError(
            "a token has letters, digits and punctuation only, and no spaces or line breaks; "
            "copy it again"
        )
    return SecretStr(token) if token else None


def saved_token() -> SecretStr | None:
    """
    The token that `apify login` saved; None if no file has one.

    Raises:
        ConfigError: it cannot be read, or is in the system's keyring, which only Apify's own tool
            reads.
    """
    home = home_folder()
    if home is None:
        return None
    path = home / ".apify" / "auth.json"
    advice = "log in again with `apify login`, or set APIFY_TOKEN"
    try:
        saved = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise error_of(error, path, "read", otherwise=ConfigError, advice=advice) from error
    except ValueError as error:
        raise ConfigError(f"{path}: is not valid JSON: {advice}") from error
    token = saved.get("token") if isinstance(saved, dict) else ""
    if token is None and saved.get("secretsBackend") == "keyring":
        raise ConfigError(
            "the token of `apify login` is in the system's keyring, which cannot be read: set "
            "APIFY_TOKEN, or log in again with APIFY_DISABLE_KEYRING=1"
        )
    if token is None:
        return None
    if not isinstance(token, str) or not token:
        raise ConfigError(f"{path}: there is no token in it: {advice}")
    try:
        return checked_token(token)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error


def home_folder() -> Path | None:
    """The user's home folder; None for a user without one."""
    try:
        return Path.home()
    except RuntimeError:
        return None
