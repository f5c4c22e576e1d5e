"""Does the token belong to the account of a batch? Another account is not shown its runs."""

from __future__ import annotations

from pathlib import Path

from orchestrator.apify import ApifyClient
from orchestrator.app.setup.context import BatchContext, connected_client
from orchestrator.errors import NotAuthorized, PermanentError, UsageError
from orchestrator.event_log import LOG
from orchestrator.model.batches import Batch


async def check_account(folder: Path, batch: Batch, context: BatchContext) -> None:
    """
    Refuses the token of another account before a command asks for the runs of a batch.

    Raises:
        UsageError: the token belongs to another account.
        PlatformError: the platform cannot be reached, or refuses the token.
    """
    if batch.account is None or batch.plan.local is not None:
        return
    async with connected_client(None, context) as client:
        refuse_other_account(folder, batch, await account_of(client))


async def account_of(client: ApifyClient) -> str | None:
    """
    The user id of the token; None if the platform does not show it.

    Raises:
        PlatformError: the platform cannot be reached, or refuses the token.
    """
    try:
        return (await client.account.get()).id
    except NotAuthorized:
        raise
    except PermanentError as error:
        # A scoped token may read runs without the right to read its user.
        LOG.warning("account_not_read", error=str(error))
        return None


def refuse_other_account(folder: Path, batch: Batch, account: str | None) -> None:
    """
    Refuses an account that is not the one of a batch.

    Raises:
        UsageError: both are known, and they differ.
    """
    if None not in (batch.account, account) and batch.account != account:
        raise UsageError(
            f"{folder}: this batch belongs to the account {batch.account}, and the token to "
            f"{account}: use a token of {batch.account}"
        )
