from __future__ import annotations

import pytest

from orchestrator.notifiers.addresses import shown_host, shown_service, without_parts
from orchestrator.notifiers.ping import target_of

URL = "mailtos://me:p%40ssword@smtp.example.org:587/?to=team@example.org"


def test_service_and_host_are_named_without_credentials() -> None:
    """People recognise which notifier failed, and see no key."""
    assert shown_service(URL) == "mailtos"
    assert shown_host("https://me:word@hc-ping.com/1f2e3d?x=1") == "https://hc-ping.com"


@pytest.mark.parametrize("said", ["login p@ssword refused", "login p%40ssword refused"])
def test_reason_of_a_library_loses_the_parts_of_the_url(said: str) -> None:
    """Libraries quote URLs and passwords, in plain and escaped form."""
    assert without_parts(said, URL) == "login [secret] refused"


def test_reason_of_a_library_is_one_short_line() -> None:
    """A reason never has more than one line, even if the library gives a traceback."""
    assert "\n" not in without_parts("no\nroute", URL)
    assert len(without_parts("x" * 5000, URL)) == 300


@pytest.mark.parametrize(
    ("url", "signal", "wanted"),
    [
        ("https://hc-ping.com/1f2e", "start", "https://hc-ping.com/1f2e/start"),
        ("https://hc-ping.com/1f2e/", "1", "https://hc-ping.com/1f2e/1"),
        ("https://hc-ping.com/key/night?create=1", "", "https://hc-ping.com/key/night?create=1"),
        ("https://hc-ping.com/key/night?create=1", "2", "https://hc-ping.com/key/night/2?create=1"),
    ],
)
def test_signal_of_a_ping_follows_the_path(url: str, signal: str, wanted: str) -> None:
    """The addresses are those that healthchecks.io documents, also with a slug and a query."""
    assert target_of(url, signal) == wanted
