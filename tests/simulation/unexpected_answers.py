"""Unexpected answers: refusals, pages that are not the API's, and runs of other programs."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from multidict import CIMultiDict

from orchestrator.apify import Request
from tests.support.scripted_transport import Reply, refused

ODD_BEFORE = ("page-before", "odd-refusal")
ODD_AFTER = ("page-after", "foreign", "agentless")
PAGES = (302, 400, 401, 402, 403, 404, 413, 425, 429)
REFUSALS = (400, 401, 403, 404)


def refusal_of(request: Request) -> Reply | None:
    """The refusal that the input of a start asks for; None for other requests."""
    if "(attempt " not in request.headers["User-Agent"] or not request.body:
        return None
    refuse = json.loads(request.body).get("refuse")
    return None if refuse is None else refused(*refuse)


def odd_before(trouble: str | None, request: Request, chance: random.Random) -> Reply | None:
    """
    An answer instead of the platform's, before any effect; None for none.

    A refusal would be believed for a start, or for an output that may be missing, so it is not used
    there.
    """
    if trouble not in ODD_BEFORE:
        return None
    is_start = "(attempt " in request.headers["User-Agent"]
    is_believed = is_start or "/records/" in urlsplit(request.url).path
    if trouble == "odd-refusal" and not is_believed:
        return refused(chance.choice(REFUSALS), "not-known-yet")
    return _page(chance)


def odd_after(
    trouble: str | None,
    request: Request,
    answer: Reply,
    chance: random.Random,
    others: Callable[[], list[dict[str, Any]]],
) -> Reply:
    """
    The answer to a request that has had its effect.

    Args:
        others: runs that the answer to a start may name instead of its own.
    """
    if trouble == "page-after":
        return _page(chance)
    if trouble not in ODD_AFTER or request.method != "POST" or answer.status >= 300:
        return answer
    if urlsplit(request.url).path.rpartition("/")[2] not in {"runs", "resurrect"}:
        return answer
    run = json.loads(answer.chunks_[0])["data"]
    if trouble == "foreign":
        run = chance.choice([*others(), _stranger(run)])
    elif chance.random() < 0.5:
        # Nor does it name the storages; a later answer does.
        del run["defaultDatasetId"], run["defaultKeyValueStoreId"]
        run["meta"].pop("userAgent", None)
    elif "userAgent" in run["meta"]:
        run["meta"]["userAgent"] = run["meta"]["userAgent"][:-3]
    return replace(answer, chunks_=(json.dumps({"data": run}).encode(),))


def _stranger(run: dict[str, Any]) -> dict[str, Any]:
    """A run that another program started the day before."""
    return {
        **run,
        "id": "stranger",
        "startedAt": "2026-11-23T00:00:00.000Z",
        "meta": {"origin": "WEB"},
        "defaultDatasetId": "d-stranger",
    }


def _page(chance: random.Random) -> Reply:
    body = chance.choice([b"", b"<html>busy</html>", b"busy", b"{}"])
    return Reply(status=chance.choice(PAGES), headers=CIMultiDict(), chunks_=(body,))
