"""Checks of the token, the account's limits and the clock, by asking the platform."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from orchestrator.apify import ApifyClient
from orchestrator.apify.models import AccountLimits
from orchestrator.app.clock import utc_now
from orchestrator.app.doctor.findings import Finding, problem, warning
from orchestrator.app.setup.context import BatchContext, connected_client
from orchestrator.errors import NoEndpoint, NotAuthorized, PermanentError, PlatformError
from orchestrator.model.money import money

NEARLY_USED = Decimal("0.9")
PERMISSION = "give the token the permission to read the account, if limits should be known"
ADDRESS = "set APIFY_API_BASE_URL to the address of the platform"
EXACT = timedelta(seconds=30)
WRONG = timedelta(minutes=5)
"""A clock that is further off than this misses the occurrences of a schedule."""


async def check_account(context: BatchContext) -> list[Finding]:
    """
    The token, the limits and the clock; the last two only if the platform answers.

    The settings must have a token.
    """
    url = context.settings.api_base_url
    async with connected_client(None, context) as client:
        try:
            account = await client.account.get()
        except NotAuthorized as error:
            advice = "copy the token again from Apify Console, Settings, API & Integrations"
            if error.error_type is None:  # not the platform's own words: a redirect led elsewhere
                advice = ADDRESS
            return [problem("token", f"{url} refuses it: {error}", advice)]
        except NoEndpoint as error:
            return [problem("platform", f"{url} is not the address of the API: {error}", ADDRESS)]
        except PermanentError as error:
            # A scoped token may start runs without the right to read its user.
            found = warning("token", f"{url} does not say whose it is: {error}", PERMISSION)
        except PlatformError as error:
            advice = "check the network, a proxy and APIFY_API_BASE_URL"
            return [problem("platform", f"{url} does not answer: {error}", advice)]
        else:
            name = account.username or account.id or "an unknown account"
            found = Finding(about="token", found=f"{url} accepts it; it belongs to {name}")
        return [found, *await _limits(client), _clock(client)]


async def _limits(client: ApifyClient) -> list[Finding]:
    try:
        return list(findings_of_limits(await client.account.get_limits()))
    except PlatformError as error:
        return [warning("limits", f"not known: {error}", PERMISSION)]


def findings_of_limits(answer: AccountLimits) -> Iterator[Finding]:
    """What the limits of the account mean for a batch."""
    limits, current = answer.limits, answer.current
    runs = limits and limits.max_concurrent_actor_jobs
    memory = limits and limits.max_actor_memory_gbytes
    parts = [f"{runs} runs at once"] if runs else []
    parts += [f"{memory:g} GB of memory together"] if memory else []
    if parts:
        yield Finding(about="limits", found=", ".join(parts))
    used = None if current is None else current.monthly_usage_usd
    most = None if limits is None else limits.max_monthly_usage_usd
    if used is None or not most:
        return
    said = f"{money(used)} of {money(most)} used in this billing cycle"
    advice = "raise the limit in Apify Console, Billing, Limits, or wait for the next cycle"
    if used >= most:
        yield problem("money", said, advice)
    elif used >= most * NEARLY_USED:
        yield warning("money", said, advice)
    else:
        yield Finding(about="money", found=said)


def _clock(client: ApifyClient) -> Finding:
    platform_now = client.platform_now()
    if platform_now is None:
        return warning("clock", "the platform does not show its time", "synchronise it by NTP")
    return finding_of_clock(utc_now() - platform_now)


def finding_of_clock(ahead: timedelta) -> Finding:
    """
    What the difference of the two clocks means.

    Args:
        ahead: how far this machine's clock is ahead of the platform's; negative if it is behind.
    """
    secs = abs(ahead.total_seconds())
    if abs(ahead) <= EXACT:
        return Finding(about="clock", found="agrees with the platform's within 30 s")
    where = "ahead of" if ahead > timedelta() else "behind"
    found = f"{secs:,.0f} s {where} the platform's"
    advice = "synchronise it by NTP, for example with systemd-timesyncd or chrony"
    return (problem if abs(ahead) > WRONG else warning)("clock", found, advice)
