"""The valid tokens: that of the account, and one for each process of a run."""

from __future__ import annotations

import secrets

from apify_emulator.ids import new_token
from apify_emulator.refusals import bad_token


class Tokens:
    """
    The tokens that are valid now.

    Tokens of processes are in memory only, so an orphan of an earlier emulator has no valid token.

    Attributes:
        owner: the token of the account.
    """

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self._of_processes: dict[str, str] = {}

    def issue(self, run_id: str) -> str:
        """Returns a new token for one process of a run."""
        token = new_token()
        self._of_processes[token] = run_id
        return token

    def revoke(self, token: str) -> None:
        """Refuses a token from now on."""
        self._of_processes.pop(token, None)

    def run_of(self, token: str) -> str | None:
        """
        Returns the run whose process has the token; None for the account's token.

        Raises:
            ApiError: the token is not valid (401).
        """
        # In constant time, because other processes on the machine can measure it.
        if secrets.compare_digest(token.encode(), self.owner.encode()):
            return None
        run_id = self._of_processes.get(token)
        if run_id is None:
            raise bad_token()
        return run_id
