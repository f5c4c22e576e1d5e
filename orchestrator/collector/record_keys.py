"""Which records of a key-value store are downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import orjson

from orchestrator.apify import ApifyClient
from orchestrator.errors import TruncatedBody
from orchestrator.model.ids import StoreId

MOST_PAGES = 1000
MOST_EMPTY_PAGES = 10
"""In a row: a list that holds nothing and says that more follows does not end."""

INPUT_KEY = "INPUT"

STEP_KEYS = frozenset({".", ".."})
"""Some servers and proxies take them for steps of the path, and answer with another resource."""

MOST_STORE_BYTES = 64 * 1024
UNADDRESSABLE = (
    "the platform, or a proxy before it, takes this key for a step of the path: download the "
    "record in Apify Console"
)


async def matching_keys(
    client: ApifyClient, store_id: StoreId, patterns: Sequence[str]
) -> list[str]:
    """
    The keys that match a pattern, each once, in the order of the platform.

    The input is matched by its full name only: it may hold secrets that `*` is not meant to save.

    Raises:
        TruncatedBody: the list of keys does not end.
    """
    keys: dict[str, None] = {}
    start, empty = None, 0
    for _ in range(MOST_PAGES):
        page = await client.storages.list_keys(store_id, exclusive_start_key=start)
        for item in page.items:
            if _is_wanted(item.key, patterns):
                keys[item.key] = None
        empty = 0 if page.items else empty + 1
        following = page.next_exclusive_start_key
        if not page.is_truncated or not following:
            return list(keys)
        if following == start or empty == MOST_EMPTY_PAGES:
            break
        start = following
    raise TruncatedBody(
        f"key-value store {store_id}: the list of its keys does not end; it was read up to "
        f"{start!r}"
    )


def is_store_itself(body: bytes, store_id: StoreId) -> bool:
    """Whether an answer is the store that a record was asked of, as its own address gives it."""
    try:
        data = orjson.loads(body)["data"]
        return bool(data["id"] == store_id)
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return False


def _is_wanted(key: str, patterns: Sequence[str]) -> bool:
    if key == INPUT_KEY:
        return key in patterns
    return any(fnmatchcase(key, pattern) for pattern in patterns)
