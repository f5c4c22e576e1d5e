"""Settings that are URLs, of which no message shows the password."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from orchestrator.errors import ConfigError
from orchestrator.ledger.postgres.address import parse_address
from orchestrator.platform_address import is_web_address


def secret_urls(value: Any) -> tuple[SecretStr, ...]:
    """Apprise URLs; raises ValueError."""
    # No message shows a value: a URL holds a password or a key.
    values = value.split() if isinstance(value, str) else value
    if not isinstance(values, list | tuple) or not all(_is_url(one) for one in values):
        raise ValueError("expected Apprise URLs such as mailto://…: a list, or text with spaces")
    return tuple(SecretStr(one) for one in values)


def secret_url(value: Any) -> SecretStr | None:
    """An http or https address; raises ValueError."""
    if value is None:
        return None
    if not isinstance(value, str) or not is_web_address(value):
        raise ValueError("expected an http or https address")
    return SecretStr(value)


def ledger_url(value: Any) -> SecretStr | None:
    """The URL of a PostgreSQL server; raises ValueError."""
    if value is None or isinstance(value, SecretStr):
        return value
    try:
        parse_address(str(value))
    except ConfigError as error:
        raise ValueError(str(error).removeprefix("ledger: ")) from None
    return SecretStr(str(value))


def _is_url(value: object) -> bool:
    return isinstance(value, str) and "://" in value


NotifyUrls = Annotated[tuple[SecretStr, ...], BeforeValidator(secret_urls), NoDecode]
PingUrl = Annotated[SecretStr | None, BeforeValidator(secret_url)]
LedgerUrl = Annotated[SecretStr | None, BeforeValidator(ledger_url)]
