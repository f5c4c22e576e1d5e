"""Where a PostgreSQL server and the schema of a deployment are, as the user writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from orchestrator.errors import ConfigError
from orchestrator.safe_text import SECRETS

SCHEMES = ("postgresql", "postgres")
SCHEMA = "orchestrator"
"""The schema of a deployment that names no other."""
PASSWORDS = (
    "password",
    "sslpassword",
    "oauth_client_secret",
    "scram_client_key",
    "scram_server_key",
)
"""The parameters of libpq that are secrets."""
SHORTEST_PASSWORD = 6
"""Shorter passwords are not redacted in messages: no message of ours has one."""

NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
SEARCH_PATH = re.compile(r"-c\s*search_path=([a-z0-9_]+)|--search[_-]path=([a-z0-9_]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """
    A server and a schema.

    Attributes:
        conninfo: for libpq; may hold passwords.
        url: without them.
        schema: of the deployment.
        has_password: whether the URL holds one.
    """

    conninfo: str
    url: str
    schema: str
    has_password: bool = False

    def __repr__(self) -> str:
        """The address without passwords."""
        return f"Address({self.url!r})"


def parse_address(text: str) -> Address:
    """
    An address from a URL, such as `postgresql://user@host/database?schema=nightly`.

    From now on, messages redact its passwords.

    Raises:
        ConfigError: it is not the URL of a PostgreSQL server.
    """
    try:
        parts = urlsplit(text)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        parts, query = urlsplit(""), {}
    if parts.scheme not in SCHEMES:
        raise ConfigError(
            "ledger: expected a URL such as postgresql://user@host/database?schema=orchestrator"
        )
    schema = query.pop("schema", "") or _schema_of(query.get("options", "")) or SCHEMA
    if not NAME.fullmatch(schema):
        raise ConfigError(
            f"ledger: {schema!r} is not the name of a schema: use lower-case letters, digits and _"
        )
    user, at, hosts = parts.netloc.rpartition("@")
    name, colon, password = user.partition(":")
    path = parts.path
    conninfo = _url(parts.netloc, path, query)
    passwords = [unquote(password), *(query.pop(name, "") for name in PASSWORDS)]
    for secret in passwords:
        SECRETS.add(secret, shortest=SHORTEST_PASSWORD)
    netloc = f"{name}{at}{hosts}" if colon else parts.netloc
    shown = query if schema == SCHEMA else {**query, "schema": schema}
    return Address(
        conninfo=conninfo,
        url=_url(netloc, path, shown),
        schema=schema,
        has_password=any(passwords),
    )


def _schema_of(options: str) -> str:
    found = SEARCH_PATH.search(options)
    return "" if found is None else found[1] or found[2]


def _url(netloc: str, path: str, values: dict[str, str]) -> str:
    # libpq decodes %20 and not +.
    query = urlencode(values).replace("+", "%20")
    return f"postgresql://{netloc}{path}{query and '?'}{query}"
