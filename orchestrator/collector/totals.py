"""How many items an answer of the platform says that there are."""

from __future__ import annotations

from orchestrator.apify import Download
from orchestrator.errors import ServerFault, TruncatedBody


class CountUnreadable(TruncatedBody):
    """What should be the number of items cannot be one."""


def count_of(download: Download) -> int:
    """How many items there are; without that header an answer is not the platform's."""
    total = download.total
    if total is not None:
        return total
    if download.total_text is None:
        raise ServerFault("the answer has no items and is not the platform's, perhaps a gateway's")
    raise CountUnreadable(
        f"the platform reports an impossible number of items: {download.total_text[:40]!r}"
    )
