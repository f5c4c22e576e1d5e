"""
What the environment says about the network: proxies and certificates.

Read once, when a client opens: the HTTP library would ask again for every request, in a thread.
"""

from __future__ import annotations

import base64
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import getproxies_environment, proxy_bypass

from orchestrator.errors import ConfigError
from orchestrator.safe_text import SECRETS
from orchestrator.system_errors import refuse_exhaustion

CA_FILES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
CA_FOLDER = "SSL_CERT_DIR"

PROXY_ADVICE = (
    "give it a user and a password: http://user:password@proxy.example:3128 in HTTPS_PROXY, "
    "HTTP_PROXY or ALL_PROXY"
)
"""What to do about a proxy that asks who one is (407)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """
    A proxy to go through.

    Attributes:
        url: without credentials.
        headers: that the proxy is sent; may hold credentials.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def proxy_for(url: str) -> Proxy | None:
    """
    The proxy for an address, by `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.

    From now on, messages redact its password.

    Raises:
        ConfigError: it has no valid address, or is of a kind that is not supported.
    """
    parts = urlsplit(url)
    proxies = getproxies_environment()
    address = proxies.get(parts.scheme) or proxies.get("all")
    if not address or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    try:
        proxy = urlsplit(address if "://" in address else f"http://{address}")
        is_address = proxy.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise ConfigError(
            "the address of the proxy is not valid: expected something like "
            f"http://user:password@proxy.example:3128 ({parts.scheme.upper()}_PROXY, ALL_PROXY)"
        )
    if proxy.scheme not in ("http", "https") or not proxy.hostname:
        raise ConfigError(
            f"the proxy at {proxy.hostname or 'no host'} is of the kind {proxy.scheme!r}; only "
            f"http and https proxies are supported ({parts.scheme.upper()}_PROXY, ALL_PROXY)"
        )
    host = proxy.netloc.rpartition("@")[2]
    return Proxy(
        url=urlunsplit((proxy.scheme, host, proxy.path, "", "")),
        headers=_credentials(proxy.username, proxy.password),
    )


def _credentials(user: str | None, password: str | None) -> dict[str, str]:
    if user is None:
        return {}
    # In a header and not in the address, because errors quote addresses.
    pair = f"{unquote(user)}:{unquote(password or '')}".encode()
    credentials = base64.b64encode(pair).decode()
    # The page of a proxy may quote the headers that it was sent. A key may be the user.
    SECRETS.add(credentials)
    SECRETS.add(unquote(password or user))
    return {"Proxy-Authorization": f"Basic {credentials}"}


def trusted(root: str) -> ssl.SSLContext | bool:
    """
    Whose certificates are good for a platform; True leaves it to the system.

    Reading certificates takes a tenth of a second, so plain HTTP goes without.

    Raises:
        ConfigError: a file that is named is not there, or holds no certificates.
    """
    named = {name: path for name in CA_FILES if (path := os.environ.get(name))}
    if not root.startswith("https:") or not (named or os.environ.get(CA_FOLDER)):
        return True
    context = ssl.create_default_context()
    for name, path in named.items():
        try:
            # `requests` accepts a folder in its variable too.
            if Path(path).is_dir():
                context.load_verify_locations(capath=path)
            else:
                context.load_verify_locations(cafile=path)
        except OSError as error:
            refuse_exhaustion(error)
            raise ConfigError(
                f"{name} names {path}, which holds no certificates ({error.strerror or error}); "
                "correct it or unset it"
            ) from error
    return context
