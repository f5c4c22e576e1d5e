from __future__ import annotations

from pathlib import Path

import pytest
from structlog.typing import EventDict

from orchestrator.app.notifications.recipients import addresses_of
from orchestrator.app.setup.settings import Settings, load_settings, settings_of_urls
from orchestrator.errors import ConfigError
from orchestrator.model.batches import NotifyPlan
from orchestrator.safe_text import plain

PLAN = NotifyPlan(urls=("json://spec/{{ env.KEY }}",), ping_url="https://spec/{{ env.KEY }}")
ENV = {"KEY": "a-long-key"}


@pytest.fixture(autouse=True)
def _no_settings_of_the_tester(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tests see only their own variables and config file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.chdir(tmp_path)


def load() -> Settings:
    return load_settings(config=None, flags={})


def test_spec_wins_over_the_config_file_and_a_variable_over_the_spec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order is that of all settings."""
    (tmp_path / "config.toml").write_text(
        'notify_urls = ["json://file/1"]\nping_url = "https://file/1"\n'
    )
    assert addresses_of(None, load(), ENV).urls == ("json://file/1",)
    assert addresses_of(None, load(), ENV).ping_url == "https://file/1"
    assert addresses_of(PLAN, load(), ENV).urls == ("json://spec/a-long-key",)
    assert addresses_of(PLAN, load(), ENV).ping_url == "https://spec/a-long-key"
    monkeypatch.setenv("ORCHESTRATOR_NOTIFY_URLS", "json://one/1 json://two/2")
    monkeypatch.setenv("ORCHESTRATOR_PING_URL", "https://own/1")
    assert addresses_of(PLAN, load(), ENV).urls == ("json://one/1", "json://two/2")
    assert addresses_of(PLAN, load(), ENV).ping_url == "https://own/1"


def test_urls_are_secrets_after_they_are_read() -> None:
    """Neither a URL nor the variable in it appears in any message."""
    addresses = addresses_of(PLAN, load(), ENV)
    assert plain("json://spec/a-long-key and a-long-key") == "[secret] and [secret]"
    assert "long-key" not in repr(addresses)


def test_url_with_an_unset_variable_is_omitted() -> None:
    """A call that cannot begin still notifies the other recipients."""
    plan = NotifyPlan(urls=("{{ env.GONE }}", "json://spec/2"), ping_url="{{ env.GONE }}")
    addresses = addresses_of(plan, load(), {})
    assert (addresses.urls, addresses.ping_url) == (("json://spec/2",), None)


def test_ping_url_that_is_no_address_is_omitted(logged: list[EventDict]) -> None:
    """A batch whose variable has changed ends as it would without the ping."""
    plan = NotifyPlan(ping_url="{{ env.KEY }}")
    assert addresses_of(plan, load(), {"KEY": "http://[hush-hush"}).ping_url is None
    (entry,) = logged
    assert entry["event"] == "recipient_left_out"
    assert "hush" not in entry["reason"]


def test_ping_url_of_the_settings_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything starts: it would end the batch as a bug of ours."""
    monkeypatch.setenv("ORCHESTRATOR_PING_URL", "http://[hush-hush")
    with pytest.raises(ConfigError, match="expected an http or https address"):
        load()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("notify_urls = 5", "notify_urls: expected Apprise URLs"),
        ('notify_urls = ["hidden-one"]', "notify_urls: expected Apprise URLs"),
        ('ping_url = "ftp://hidden-one"', "ping_url: expected an http or https address"),
    ],
)
def test_wrong_setting_is_reported_without_its_value(tmp_path: Path, line: str, said: str) -> None:
    """A URL is a secret, also if it has a mistake."""
    (tmp_path / "config.toml").write_text(line)
    with pytest.raises(ConfigError) as refused:
        load()
    assert said in str(refused.value)
    assert "hidden-one" not in str(refused.value)


def test_urls_are_known_despite_mistakes_in_other_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A mistake in a setting is announced to the recipients that the environment names."""
    monkeypatch.setenv("ORCHESTRATOR_MAX_RUNS", "many")
    monkeypatch.setenv("ORCHESTRATOR_NOTIFY_URLS", "not a url")
    monkeypatch.setenv("ORCHESTRATOR_PING_URL", "https://own/1")
    addresses = addresses_of(None, settings_of_urls(), {})
    assert (addresses.urls, addresses.ping_url) == ((), "https://own/1")
