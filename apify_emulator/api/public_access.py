"""What callers without permission may read: storages that are open to all, and signed URLs."""

from __future__ import annotations

from typing import Any

from apify_emulator.api.context import Context
from apify_emulator.api.router import Route
from apify_emulator.http.calls import Call
from apify_emulator.refusals import ApiError, invalid_input, no_access
from apify_emulator.signatures import is_valid_storage, is_valid_value, signing_key

_LEVELS = frozenset(
    {
        "ANYONE_WITH_ID_CAN_READ",
        "ANYONE_WITH_NAME_CAN_READ",
        "FOLLOW_USER_SETTING",
        "RESTRICTED",
    }
)


def checked_access(value: object) -> str:
    """
    Returns the general access of a body.

    Raises:
        ApiError: there is no such level (400).
    """
    if not isinstance(value, str) or value not in _LEVELS:
        raise invalid_input(f'"generalAccess" must be one of {", ".join(sorted(_LEVELS))}')
    return value


def may_read(context: Context, call: Call, route: Route) -> bool:
    """
    Whether a caller may read without permission, because the storage is open or the URL is signed.

    Raises:
        ApiError: the signature is not valid or has expired (403).
    """
    if not route.is_public:
        return False
    is_dataset = "datasetId" in call.params
    storage: Any
    try:
        storage = (
            context.datasets.get(call.params["datasetId"])
            if is_dataset
            else context.stores.get(call.params["storeId"])
        )
    except ApiError:
        # Without a permission nobody learns which storages exist.
        return False
    if storage.general_access.startswith("ANYONE_"):
        return True
    if "signature" not in call.query:
        return False
    key = signing_key(context.signing_master, storage.id)
    signature = call.text("signature")
    record = call.params.get("recordKey")
    if is_valid_storage(key, storage.id, signature):
        return True
    if record is not None and is_valid_value(key, record, signature):
        return True
    raise no_access("dataset" if is_dataset else "key-value store")
