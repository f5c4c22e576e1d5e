from __future__ import annotations

import pytest
from pydantic import SecretStr

from orchestrator.apify import ClientOptions
from orchestrator.apify.http.network_environment import proxy_for, trusted
from orchestrator.errors import ConfigError
from orchestrator.platform_address import root_of
from orchestrator.safe_text import plain


@pytest.mark.parametrize(
    "base_url",
    [
        "https://api.apify.com",
        "https://api.apify.com/",
        "https://api.apify.com/v2",
        " https://api.apify.com/v2/ ",
    ],
)
def test_base_url_is_accepted_in_every_usual_form(base_url: str) -> None:
    """The address may end with a slash or with the version."""
    assert root_of(base_url) == "https://api.apify.com"


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "api.apify.com",
        "ftp://x.example",
        "https://",
        "https://u:p@x.example",
        "ftp://u:p@x.example",
        "https://u:p@[x",
        "https://x.example:port",
        "https:/x.example?token=u:p",
    ],
)
def test_invalid_base_url_is_refused(base_url: str) -> None:
    """An address that is not valid is an error before anything is sent, without its password."""
    with pytest.raises(ConfigError, match="APIFY_API_BASE_URL") as caught:
        root_of(base_url)
    assert "u:p" not in str(caught.value)


def test_token_is_not_shown() -> None:
    """Options can be logged without the token."""
    assert "s3cret" not in repr(ClientOptions(token=SecretStr("s3cret")))


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


def test_proxy_of_the_environment_is_used(no_proxies: pytest.MonkeyPatch) -> None:
    """The proxy for a scheme is used, with its credentials in a header."""
    no_proxies.setenv("HTTPS_PROXY", "http://user:p%40ss@proxy.example:3128")
    proxy = proxy_for("https://api.apify.com")
    assert proxy is not None
    assert proxy.url == "http://proxy.example:3128"
    assert proxy.headers == {"Proxy-Authorization": "Basic dXNlcjpwQHNz"}
    assert "dXNl" not in repr(proxy)


@pytest.mark.parametrize("user", ["user:p%40ssw0rd", "p%40ssw0rd"])
def test_credentials_of_a_proxy_are_redacted(no_proxies: pytest.MonkeyPatch, user: str) -> None:
    """The page of a proxy may quote what it was sent, as it was sent and decoded."""
    no_proxies.setenv("HTTP_PROXY", f"http://{user}@proxy.example:3128")
    proxy = proxy_for("http://api.example")
    assert proxy is not None
    said = f"denied: {proxy.headers['Proxy-Authorization']}, p@ssw0rd"
    assert plain(said) == "denied: Basic [secret], [secret]"


@pytest.mark.parametrize(
    "address", ["http://u:hush@[bad", "http://u:hush@h:port", "u:hush@h:99999"]
)
def test_address_of_a_proxy_that_is_not_valid_is_an_error(
    no_proxies: pytest.MonkeyPatch, address: str
) -> None:
    """The message names the variables, and shows no password."""
    no_proxies.setenv("HTTPS_PROXY", address)
    with pytest.raises(ConfigError, match="HTTPS_PROXY, ALL_PROXY") as caught:
        proxy_for("https://api.apify.com")
    assert "hush" not in str(caught.value)


def test_no_proxy_is_obeyed(no_proxies: pytest.MonkeyPatch) -> None:
    """A host that `no_proxy` names is reached directly."""
    no_proxies.setenv("HTTP_PROXY", "proxy.example:3128")
    no_proxies.setenv("NO_PROXY", "127.0.0.1,internal.example")
    assert proxy_for("http://127.0.0.1:8000") is None
    assert proxy_for("http://a.internal.example") is None
    assert proxy_for("http://elsewhere.example") is not None


def test_unsupported_proxy_is_an_error(no_proxies: pytest.MonkeyPatch) -> None:
    """A proxy of an unsupported kind is an error, and is not ignored silently."""
    no_proxies.setenv("ALL_PROXY", "socks5://proxy.example:1080")
    with pytest.raises(ConfigError, match="socks5"):
        proxy_for("https://api.apify.com")


def test_missing_certificate_file_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for a missing file of certificates names its variable."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(ConfigError, match=r"REQUESTS_CA_BUNDLE names /nowhere/ca\.pem"):
        trusted("https://api.apify.com")


def test_plain_http_needs_no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform on plain HTTP is reached even if the environment names wrong certificates."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    assert trusted("http://127.0.0.1:8000") is True
