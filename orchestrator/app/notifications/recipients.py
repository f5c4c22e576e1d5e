"""Who hears of a batch: the URLs of the spec and of the settings, with their secrets."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from pydantic import SecretStr

from orchestrator.app.setup.settings import Settings
from orchestrator.errors import ConfigError
from orchestrator.event_log import LOG
from orchestrator.extras import Extra, not_installed
from orchestrator.model.batches import NotifyPlan
from orchestrator.notifiers.addresses import Addresses
from orchestrator.platform_address import is_web_address
from orchestrator.safe_text import SECRETS
from orchestrator.specfile.notify_urls import env_names_in, rendered


def addresses_of(plan: NotifyPlan | None, settings: Settings, env: Mapping[str, str]) -> Addresses:
    """
    Where news is sent: variables win over the spec, and the spec over the config file.

    From now on, no message shows one of the URLs. Those whose variables are not set are left out,
    with a warning.
    """
    plan = plan or NotifyPlan()
    names = env_names_in(plan)
    SECRETS.add_variables(names, env)
    for name in sorted(name for name in names if not env.get(name)):
        LOG.warning("recipient_left_out", reason=f"the environment variable {name} is not set")
    own = tuple(url for text in plan.urls if (url := rendered(text, env)))
    own_ping = rendered(plan.ping_url, env) if plan.ping_url else None
    if own_ping is not None and not is_web_address(own_ping):
        # Of a spec with mistakes, or from a variable that has changed since the batch began.
        LOG.warning("recipient_left_out", reason="ping_url is not an http or https address")
        own_ping = None
    addresses = Addresses(
        on=plan.on,
        urls=_values(settings.notify_urls) or own or _values(settings.notify_urls_below_spec),
        ping_url=_value(settings.ping_url) or own_ping or _value(settings.ping_url_below_spec),
    )
    for url in (*addresses.urls, addresses.ping_url or ""):
        SECRETS.add(url)
    return addresses


def require_library(addresses: Addresses) -> None:
    """
    Refuses to begin where no notification could be sent: at night, nobody would notice it.

    Raises:
        ConfigError: the library of notifications is not installed.
    """
    if addresses.notifies and find_spec("apprise") is None:
        raise ConfigError(f"a notification {not_installed(Extra.NOTIFY)}")


def _values(urls: tuple[SecretStr, ...]) -> tuple[str, ...]:
    return tuple(url.get_secret_value() for url in urls)


def _value(url: SecretStr | None) -> str | None:
    return None if url is None else url.get_secret_value()
