"""Which transport carries the requests: the direct one, or aiohttp's session where that cannot."""

from __future__ import annotations

from functools import cache

import aiohttp

from orchestrator.apify.http import network_environment
from orchestrator.apify.http.session_transport import SessionTransport
from orchestrator.apify.http.transport import Transport
from orchestrator.event_log import LOG


def real_transport(root: str) -> Transport:
    """
    Return real HTTP to a platform.

    The session transport serves proxies. It also takes over, with one warning in each process,
    when the installed aiohttp lacks a part that the direct transport uses.
    """
    if network_environment.proxy_for(root) is not None or not direct_transport_works():
        return SessionTransport(root)
    from orchestrator.apify.http.direct_transport import DirectTransport

    return DirectTransport(root)


@cache
def direct_transport_works() -> bool:
    """Return whether the direct transport works with this aiohttp, and warn if it does not."""
    try:
        # Imported here, because a part that was removed fails the import.
        from orchestrator.apify.http.direct_transport_probe import probe_direct_transport

        probe_direct_transport()
    except Exception as error:  # noqa: BLE001 - a changed library can raise anything
        LOG.warning(
            "direct_transport_not_usable",
            aiohttp=aiohttp.__version__,
            reason=f"{type(error).__name__}: {error}",
            consequence="requests go through aiohttp's session, which takes more processor time",
        )
        return False
    return True
