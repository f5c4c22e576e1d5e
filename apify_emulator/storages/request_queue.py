"""A request queue with what SDKs and crawlers use: unique requests, a head, locks."""

from __future__ import annotations

import base64
import os
import re
import time
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from apify_emulator.refusals import ApiError, invalid_input
from apify_emulator.storages.appended_file import append_whole
from apify_emulator.storages.request_fields import checked_request
from apify_emulator.times import iso, now

FILTERS = frozenset({"locked", "pending"})


def request_id(unique_key: str) -> str:
    """Returns the id of a unique key, computed as the SDKs compute it."""
    digest = base64.b64encode(sha256(unique_key.encode()).digest()).decode()
    return re.sub(r"[+/=]", "", digest)[:15]


class RequestQueue:
    """
    One queue.

    Requests are in a file of JSON Lines, where the last line about each wins. Locks are in memory.
    """

    def __init__(
        self,
        queue_id: str,
        path: Path,
        *,
        created_at: float,
        name: str | None = None,
        run_id: str | None = None,
        actor_id: str | None = None,
    ) -> None:
        self.id = queue_id
        self.name = name
        self.run_id = run_id
        self.actor_id = actor_id
        self.created_at = created_at
        self.modified_at = created_at
        self.accessed_at = created_at
        self.reads = self.writes = self.deletes = self.head_reads = 0
        self.general_access = "FOLLOW_USER_SETTING"
        self._path = path
        self._requests: dict[str, dict[str, Any]] = {}
        # Ids of requests that are not handled yet, in the order of the head.
        self._pending: dict[str, None] = {}
        self._locks: dict[str, tuple[float, str | None]] = {}
        self._clients: set[str] = set()
        # The place of each request in the order of arrival, also of those that were deleted.
        self._places: dict[str, int] = {}
        self._arrived = 0
        self._load()

    @property
    def total(self) -> int:
        """How many requests there are."""
        return len(self._requests)

    @property
    def size_bytes(self) -> int:
        """The size of its file."""
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    @property
    def pending(self) -> int:
        """How many requests are not handled."""
        return len(self._pending)

    @property
    def had_multiple_clients(self) -> bool:
        """Whether more than one client has used the queue."""
        return len(self._clients) > 1

    def note_client(self, client_key: str | None) -> None:
        """Records that a client uses the queue."""
        if client_key:
            self._clients.add(client_key)

    def add(self, request: dict[str, Any], *, forefront: bool) -> dict[str, Any]:
        """Adds a request, unless its unique key is known; returns the API's answer about it."""
        request = checked_request(request)
        url = request.get("url")
        if not url:
            raise invalid_input("A request must have a url")
        unique_key = str(request.get("uniqueKey") or url)
        key = request_id(unique_key)
        # A known request does not change, so that a crawler does not visit a page twice.
        known = self._requests.get(key)
        if known is None:
            fresh = {"method": "GET", "retryCount": 0, **request, "id": key}
            fresh["uniqueKey"] = unique_key
            self._put(fresh, forefront=forefront)
        return {
            "requestId": key,
            "uniqueKey": unique_key,
            "wasAlreadyPresent": known is not None,
            "wasAlreadyHandled": bool(known and known.get("handledAt")),
        }

    def get(self, key: str) -> dict[str, Any] | None:
        """Returns a request; None if it does not exist."""
        self.reads += 1
        return self._requests.get(key)

    def update(self, key: str, request: dict[str, Any], *, forefront: bool) -> dict[str, Any]:
        """Replaces or adds a request, at an end of the queue; returns the API's answer about it."""
        request = checked_request(request)
        known = self._requests.get(key)
        fresh = {"method": "GET", "retryCount": 0, **request, "id": key}
        for name in ("uniqueKey", "url"):
            if name not in fresh and known is not None:
                fresh[name] = known[name]
        fresh["uniqueKey"] = str(fresh.get("uniqueKey") or fresh.get("url") or key)
        fresh.setdefault("url", fresh["uniqueKey"])
        if fresh.get("handledAt"):
            self._locks.pop(key, None)
        self._put(fresh, forefront=forefront)
        return {
            "requestId": key,
            "wasAlreadyPresent": known is not None,
            "wasAlreadyHandled": bool(known and known.get("handledAt")),
        }

    def remove(self, key: str) -> bool:
        """Deletes a request; returns whether it existed."""
        self.deletes += 1
        if key not in self._requests:
            return False
        self._append({"id": key, "deleted": True})
        del self._requests[key]
        self._pending.pop(key, None)
        self._locks.pop(key, None)
        return True

    def head(self, limit: int) -> list[dict[str, Any]]:
        """Returns the next requests that are not locked."""
        moment = time.monotonic()
        self.head_reads += 1
        found: list[dict[str, Any]] = []
        for key in self._pending:
            if len(found) >= limit:
                break
            if not self._is_locked(key, moment):
                found.append(_brief(self._requests[key]))
        return found

    def lock_head(
        self, limit: int, lock_secs: float, client_key: str | None
    ) -> list[dict[str, Any]]:
        """Locks the next requests and returns them."""
        found = self.head(limit)
        until = time.monotonic() + lock_secs
        for request in found:
            self._locks[request["id"]] = (until, client_key)
            request["lockExpiresAt"] = iso(now() + lock_secs)
        return found

    def prolong(
        self, key: str, lock_secs: float, client_key: str | None, *, forefront: bool
    ) -> dict[str, Any]:
        """
        Extends the lock of a request.

        Raises:
            ApiError: another client has locked it, or it is handled (409).
        """
        self._check_holder(key, client_key)
        if key not in self._pending:
            raise ApiError(409, "request-handled-or-locked", "The request is already handled")
        self._locks[key] = (time.monotonic() + lock_secs, client_key)
        if forefront:
            self._put(self._requests[key], forefront=True)
        return {"lockExpiresAt": iso(now() + lock_secs)}

    def unlock(self, key: str, client_key: str | None, *, forefront: bool) -> None:
        """Unlocks a request, which becomes the first or the last one."""
        self._check_holder(key, client_key)
        self._locks.pop(key, None)
        if key in self._pending:
            self._put(self._requests[key], forefront=forefront)

    def unlock_all(self, client_key: str | None) -> int:
        """Unlocks all requests of a client; returns how many."""
        mine = [key for key, (_, holder) in self._locks.items() if holder == client_key]
        for key in mine:
            del self._locks[key]
        return len(mine)

    @property
    def has_locks(self) -> bool:
        """Whether any request is locked now."""
        moment = time.monotonic()
        return any(until > moment for until, _ in self._locks.values())

    def place_of(self, key: str) -> int | None:
        """Returns the place of a request in the order of arrival; None if there was none."""
        return self._places.get(key)

    def listed(self, after: int, limit: int, filters: set[str]) -> list[dict[str, Any]]:
        """
        Returns requests in the order of their arrival, after a place of that order.

        Args:
            filters: of `FILTERS`; requests of any of them are returned, of all without one.
        """
        moment = time.monotonic()
        wanted = (
            request
            for key, request in self._requests.items()
            if self._places[key] > after and self._passes(key, filters, moment)
        )
        return list(islice(wanted, limit))

    def become_real(self) -> None:
        """Does nothing, because no queue is simulated."""

    def delete(self) -> None:
        """Deletes the file."""
        self._path.unlink(missing_ok=True)

    def _passes(self, key: str, filters: set[str], moment: float) -> bool:
        if not filters:
            return True
        state = "locked" if self._is_locked(key, moment) else "pending"
        return state in filters and key in self._pending

    def _is_locked(self, key: str, moment: float) -> bool:
        return key in self._locks and self._locks[key][0] > moment

    def _check_holder(self, key: str, client_key: str | None) -> None:
        until, holder = self._locks.get(key, (0.0, None))
        if until > time.monotonic() and holder != client_key:
            raise ApiError(
                409, "request-handled-or-locked", "The request is locked by another client"
            )

    def _put(self, request: dict[str, Any], *, forefront: bool) -> None:
        self._append({**request, "forefront": forefront})
        self._take(request, forefront=forefront)
        self.writes += 1
        self.modified_at = now()

    def _take(self, request: dict[str, Any], *, forefront: bool) -> None:
        key = request["id"]
        if key not in self._requests:
            self._arrived += 1
            self._places[key] = self._arrived
        self._requests[key] = request
        self._pending.pop(key, None)
        if request.get("handledAt"):
            return
        if forefront:
            # A dict keeps the order of insertion, so the first place needs a new dict.
            self._pending = {key: None, **self._pending}
        else:
            self._pending[key] = None

    def _append(self, entry: dict[str, Any]) -> None:
        append_whole(self._path, orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))

    def _load(self) -> None:
        for entry in _entries(self._path):
            forefront = entry.pop("forefront", False)
            if entry.get("deleted"):
                self._requests.pop(entry["id"], None)
                self._pending.pop(entry["id"], None)
            else:
                self._take(entry, forefront=forefront)


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = path.open("rb")
    except FileNotFoundError:
        return
    size = 0
    with lines:
        for line in lines:
            if not line.endswith(b"\n"):
                # A kill in the middle of a write leaves this.
                os.truncate(path, size)
                return
            size += len(line)
            yield orjson.loads(line)


def _brief(request: dict[str, Any]) -> dict[str, Any]:
    names = ("id", "uniqueKey", "url", "method", "retryCount")
    return {name: request[name] for name in names if name in request}
