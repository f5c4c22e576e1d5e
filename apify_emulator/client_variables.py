"""The variables that Apify's tools and SDKs read to find an API, its token and its proxy."""

from __future__ import annotations

from apify_emulator.account import USER_ID, ProxyPlace


def client_variables(url: str, proxy: ProxyPlace, run_id: str | None = None) -> dict[str, str]:
    """
    Returns the variables for programs that use the emulator as they would use Apify.

    `APIFY_TOKEN` is missing, because it is a secret that only its owner adds.

    Args:
        url: of the emulator, without `/v2`.
        run_id: of the run that they are for; None for the account's owner.
    """
    return {
        # SDKs in Python and JavaScript, the MCP server and `orchestrator` read these.
        "APIFY_API_BASE_URL": url,
        "APIFY_API_PUBLIC_BASE_URL": url,
        # The CLI reads these.
        "APIFY_CLIENT_BASE_URL": url,
        "APIFY_CONSOLE_URL": url,
        "APIFY_CLI_DISABLE_TELEMETRY": "1",
        "APIFY_CLI_SKIP_UPDATE_CHECK": "1",
        "APIFY_USER_ID": USER_ID,
        **_proxy_variables(proxy, run_id),
    }


def _proxy_variables(proxy: ProxyPlace, run_id: str | None) -> dict[str, str]:
    return {
        "APIFY_PROXY_PASSWORD": proxy.password_of(run_id),
        "APIFY_PROXY_HOSTNAME": "127.0.0.1",
        "APIFY_PROXY_PORT": str(proxy.port),
        # SDKs ask for it through the proxy, which answers it itself.
        "APIFY_PROXY_STATUS_URL": "http://proxy.apify.com",
    }
