"""The variables that Apify's tools and SDKs read to find an API, its token and its proxy."""

from __future__ import annotations

from apify_emulator.account import USER_ID


def client_variables(url: str, token: str) -> dict[str, str]:
    """
    Returns the variables for programs that use the emulator as they would use Apify.

    Args:
        url: of the emulator, without `/v2`.
    """
    return {
        "APIFY_TOKEN": token,
        # SDKs in Python and JavaScript, the MCP server and `orchestrator` read these.
        "APIFY_API_BASE_URL": url,
        "APIFY_API_PUBLIC_BASE_URL": url,
        # The CLI reads these.
        "APIFY_CLIENT_BASE_URL": url,
        "APIFY_CONSOLE_URL": url,
        "APIFY_CLI_DISABLE_TELEMETRY": "1",
        "APIFY_CLI_SKIP_UPDATE_CHECK": "1",
        "APIFY_USER_ID": USER_ID,
    }
