"""
A handle on a running emulator, for code that is not asynchronous.

It speaks HTTP only, so that the emulator can be in another thread or another process.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apify_client import ApifyClient, ApifyClientAsync

_ANSWER_SECS = 60


class EmulatorHandle:
    """
    A running emulator.

    Attributes:
        url: without `/v2`.
        token: of the account.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that Apify's tools and SDKs read."""
        found: dict[str, str] = self.call("GET", "__emulator/variables")["data"]
        return {"APIFY_TOKEN": self.token, **found}

    @property
    def client(self) -> ApifyClient:
        """Apify's official client; the package `apify-client` must be installed."""
        from apify_client import ApifyClient

        return ApifyClient(self.token, api_url=self.url)

    @property
    def async_client(self) -> ApifyClientAsync:
        """Apify's official asynchronous client; the package `apify-client` must be installed."""
        from apify_client import ApifyClientAsync

        return ApifyClientAsync(self.token, api_url=self.url)

    def add_actor(
        self,
        name: str,
        items: Iterable[Mapping[str, Any]] = (),
        *,
        schema: Mapping[str, Any] | None = None,
        output: Any = None,
        duration_secs: float = 0.0,
        cost_usd: float | None = None,
        status: str = "SUCCEEDED",
        for_input: Mapping[str, Any] | None = None,
        pricing_infos: Iterable[Mapping[str, Any]] = (),
    ) -> dict[str, Any]:
        """
        Adds a stand-in for an Actor until the next reset, and returns the Actor.

        Args:
            name: such as `apify/instagram-scraper`.
            output: the OUTPUT record; None for no record.
            pricing_infos: as the API shows them.
            for_input: only for runs with this input; None for all other inputs.
        """
        body = {
            "name": name,
            "items": list(items),
            "schema": schema,
            "durationSecs": duration_secs,
            "costUsd": cost_usd,
            "status": status,
            "input": for_input,
            "pricingInfos": list(pricing_infos),
        }
        if output is not None:
            body["output"] = output
        actor: dict[str, Any] = self.call("POST", "__emulator/actors", body)["data"]
        return actor

    def reset(self) -> None:
        """Deletes all runs, storages, webhooks, tasks and added Actors; ends faults and limits."""
        self.call("POST", "__emulator/reset", {})

    def faults(self, *rules: Mapping[str, Any], **lags: Any) -> None:
        """
        Replaces the faults; without arguments there are none.

        Args:
            rules: such as `{"path": "/runs$", "do": "rate-limited", "times": 1}`.
            lags: such as `usage_lag_secs=5`, and `seed`.
        """
        self.call("POST", "__emulator/faults", {"rules": list(rules), **lags})

    def limits(self, **limits: float) -> None:
        """
        Changes the limits of the account.

        Args:
            limits: `maxRuns`, `maxMemoryMbytes`, `maxMonthlyUsageUsd`, and `monthlyUsageUsd` for
                what is used already.
        """
        self.call("POST", "__emulator/limits", limits)

    def advance(self, seconds: float) -> None:
        """Moves the clock forward, so that long runs of stand-ins end at once."""
        self.call("POST", "__emulator/clock", {"advanceSecs": seconds})

    def runs(self) -> list[dict[str, Any]]:
        """Returns all runs as their own endpoint shows them, oldest first."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.call("GET", f"v2/actor-runs?limit=1000&offset={len(found)}")["data"]
            found += page["items"]
            if not page["items"] or len(found) >= page["total"]:
                return [self.call("GET", f"v2/actor-runs/{run['id']}")["data"] for run in found]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """
        Sends a request and returns the JSON of its answer.

        Raises:
            RuntimeError: the emulator refuses the request; the message says why.
        """
        request = urllib.request.Request(  # noqa: S310 - the URL is the emulator's
            f"{self.url}/{path}",
            method=method,
            data=None if body is None else json.dumps(body, default=_plain).encode(),
            headers={
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
            },
        )
        try:
            with _OPENER.open(request, timeout=_ANSWER_SECS) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as problem:
            with problem:
                message = json.loads(problem.read())["error"]["message"]
            raise RuntimeError(f"{method} {path}: {problem.code}: {message}") from None


# Without the proxy of the environment, which cannot reach this machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
