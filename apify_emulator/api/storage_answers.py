"""What the endpoints of all kinds of storages do alike."""

from __future__ import annotations

from typing import Any, TypeVar

from apify_emulator.api.context import Context
from apify_emulator.api.public_access import checked_access
from apify_emulator.http.calls import Call
from apify_emulator.signatures import signing_key, storage_signature, value_signature
from apify_emulator.storages.storage_collection import Storage, StorageCollection

_S = TypeVar("_S", bound=Storage)


def update_storage(collection: StorageCollection[_S], storage: _S, body: dict[str, Any]) -> None:
    """
    Changes the name and the access of a storage, as far as the body names them.

    Raises:
        ApiError: a value is not valid (400); nothing changes.
    """
    access = None
    if body.get("generalAccess") is not None:
        access = checked_access(body["generalAccess"])
    if "name" in body:
        collection.rename(storage, body["name"])
    if access is not None:
        collection.open_to(storage, access)


def listed(call: Call, collection: StorageCollection[_S]) -> list[_S]:
    """Returns the storages that the request lists; the account owns all, and none is shared."""
    if call.text("ownership") == "sharedWithMe":
        return []
    return collection.listed(unnamed=call.flag("unnamed"))


def signed(context: Context, call: Call, storage_id: str, **urls: str) -> dict[str, Any]:
    """Returns the URLs with a signature, and the key for more of them, for callers with a token."""
    if not call.is_known:
        return dict(urls)
    key = signing_key(context.signing_master, storage_id)
    signature = storage_signature(key, storage_id)
    return {
        "urlSigningSecretKey": key,
        **{name: f"{url}?signature={signature}" for name, url in urls.items()},
    }


def signed_record_url(context: Context, storage_id: str, record_key: str, url: str) -> str:
    """Returns the URL of a record with its signature."""
    key = signing_key(context.signing_master, storage_id)
    return f"{url}?signature={value_signature(key, record_key)}"
