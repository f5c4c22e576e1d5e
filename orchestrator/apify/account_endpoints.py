"""The account behind the token (API reference, "Users")."""

from __future__ import annotations

from datetime import date

from orchestrator.apify import models, urls
from orchestrator.apify.models.decoding import reader_of
from orchestrator.apify.policy.sender import Call, Sender
from orchestrator.apify.request_builder import RequestBuilder

ME = "/v2/users/me"

read_account = reader_of(lambda: models.Account)
read_limits = reader_of(lambda: models.AccountLimits)
read_usage = reader_of(lambda: models.MonthlyUsage)


class AccountEndpoints:
    """Reads the account, its limits and its usage."""

    def __init__(self, requests: RequestBuilder, sender: Sender) -> None:
        self._requests = requests
        self._sender = sender

    async def get(self) -> models.Account:
        """The account that the token belongs to: the cheapest check of a token."""
        return await self._sender.ask(Call(self._requests.small("GET", ME), ME), read_account)

    async def get_limits(self) -> models.AccountLimits:
        """The account's limits and how much of them is used; a snapshot."""
        path = f"{ME}/limits"
        return await self._sender.ask(Call(self._requests.small("GET", path), path), read_limits)

    async def get_monthly_usage(self, day: date | None = None) -> models.MonthlyUsage:
        """
        What was used in a billing cycle.

        Args:
            day: any day of the cycle; today when None.
        """
        path = f"{ME}/usage/monthly"
        query = urls.query([("date", day.isoformat())] if day else [])
        # The answer lists each day of the cycle: worth compressing, unlike the other two.
        request = self._requests.large(f"{path}{query}")
        return await self._sender.ask(Call(request, path), read_usage)
