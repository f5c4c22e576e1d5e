"""
Announces the end of a batch: notifications by Apprise, and pings of a dead-man's switch.

What is announced is recorded in the ledger before it is sent. So nothing is announced twice, and an
end that a killed process did not announce is announced by the next call that finds it. What
fails or hangs here is a warning: it changes neither the batch nor the exit code.

The words, the comparison with earlier batches and the libraries are imported when something is to
be sent.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.notifications.announcement import SIGNAL_SECS
from orchestrator.app.setup.context import logging_to
from orchestrator.errors import OrchestratorError
from orchestrator.event_log import LOG, LogSink
from orchestrator.ledger.amendments import set_announced
from orchestrator.ledger.known_batches import read_batch
from orchestrator.ledger.store import LeaseLost
from orchestrator.model.batches import Batch
from orchestrator.notifiers.addresses import Addresses, shown_host, shown_service

if TYPE_CHECKING:
    from orchestrator.app.batch.lifecycle import Result
    from orchestrator.app.notifications.message import Message
    from orchestrator.app.notifications.news import Ending

SIGNALS = 128
"""Exit codes above this number say that a signal ended the process."""

GIVEN_UP = "given up"


@dataclass(kw_only=True)
class Announcer:
    """
    Announces what one call of a command does.

    Attributes:
        sink: where the events of a batch are logged; None before logs are set up.
        timeout_secs: how long notifications and pings may take together.
        code: the exit code that was announced last; None before that.
        announced: all exit codes that were announced, also of earlier batches.
        has_begun: whether work on a batch has begun.
        before: how the batch before the current one ended; None before that is read.
        owes_ping: whether the switch was pinged at a start, and at no end since.
    """

    addresses: Addresses
    sink: LogSink | None
    timeout_secs: float
    code: int | None = None
    announced: set[int] = field(default_factory=set)
    has_begun: bool = False
    before: Ending | None = None
    owes_ping: bool = False

    def of_earlier(self) -> Announcer:
        """The same for a batch of an earlier occurrence: the switch is this occurrence's."""
        return replace(self, addresses=replace(self.addresses, ping_url=None), before=None)

    async def start(self, folder: Path, batch: Batch, *, is_first: bool) -> None:
        """
        Pings that work on a batch begins; runs beside it.

        Of several processes, only the first one does: the end of the batch may be announced by
        another one meanwhile.

        It also reads how the last batch ended, which `[retention]` may remove at the end.
        Not cancelled: the ping of the end of a short batch must not overtake this one.
        """
        self.has_begun = True
        with anyio.CancelScope(shield=True):
            await self._start(folder, batch, is_first=is_first)

    async def _start(self, folder: Path, batch: Batch, *, is_first: bool) -> None:
        if self.addresses.compares:
            from orchestrator.app.notifications.endings import ending_before

            def read() -> None:
                # In the thread: what is read counts, even if a short batch has ended meanwhile.
                self.before = ending_before(folder, batch)

            await to_thread.run_sync(read)
        if is_first:
            self.owes_ping = True
            await self._ping("start", "", min(SIGNAL_SECS, self.timeout_secs))

    async def announce(self, result: Result, code: int) -> None:
        """
        Announces how this process left a batch, unless that was announced before.

        Args:
            code: the exit code, which later steps such as an upload may have changed.
        """
        from orchestrator.app.notifications.endings import ending_of

        self.code = code
        self.announced.add(code)
        owes_ping, self.owes_ping = self.owes_ping, False
        if not result.is_news:
            return
        with ExitStack() as stack:
            if self.sink is not None:
                # The folder may be gone, which must be announced all the same.
                with suppress(OSError):
                    stack.enter_context(logging_to(result.folder, self.sink))
            ending = ending_of(result.folder, result.batch, code, result.reason)
            end = f"{result.batch.ended_at} {code}"
            try:
                before = _record(result.folder, end, ending.key, result.closer)
            except LeaseLost as error:
                # This process was paused. The one that has closed the batch in its place announces.
                LOG.warning("lease_lost", error=str(error))
                return
            announced_end, announced_news = before
            # A resume with nothing to do keeps the end, and the switch was pinged at its start.
            if end == announced_end and not owes_ping:
                return
            is_repeated = end == announced_end or ending.key == announced_news
            message, is_worth_it = self._message(result, ending)
            await self._send(code, message, notifies=is_worth_it and not is_repeated)

    async def announce_failure(
        self, name: str, call: str, code: int, error: OrchestratorError | None
    ) -> None:
        """
        Announces that a call ended with an error that no batch has recorded.

        Args:
            name: of the batch that did not begin.
            call: the command, for people.
            error: None for a bug.
        """
        from orchestrator.app.notifications.message import message_of_failure

        self.code = code
        self.announced.add(code)
        message = message_of_failure(name, call, code, error, has_begun=self.has_begun)
        await self._send(code, message, notifies=True)

    async def announce_given_up(self, folder: Path) -> None:
        """Announces, once, that only a person resumes an interrupted batch from now on."""
        from orchestrator.app.notifications.message import message_of_given_up

        if self.addresses.notifies:
            announced, _ = _record(folder, GIVEN_UP, GIVEN_UP)
            if announced != GIVEN_UP:
                message = message_of_given_up(folder, read_batch(folder / LEDGER))
                await self._send(None, message, notifies=True)

    async def correct(self, code: int) -> None:
        """Pings the exit code of the whole call, if it is not the one that was pinged last."""
        if self.code is not None and self.code != code:
            self.code = code
            await self._send(code, None, notifies=False)

    def _message(self, result: Result, ending: Ending) -> tuple[Message, bool]:
        """The words about an end, and whether it is worth a notification."""
        from orchestrator.app.notifications.endings import ending_before
        from orchestrator.app.notifications.message import message_of
        from orchestrator.app.notifications.news import is_worth_a_notification

        on = self.addresses.on
        before = None
        if self.addresses.compares:
            before = self.before or ending_before(result.folder, result.batch)
        message = message_of(result.folder, result.batch, result.totals, ending, before)
        return message, is_worth_a_notification(on, ending, before)

    async def _send(self, code: int | None, message: Message | None, *, notifies: bool) -> None:
        """
        Sends a ping and all notifications at once.

        Args:
            code: what the ping says; None for no ping.
            notifies: whether there are notifications; otherwise only the ping has the words.
        """
        is_signal = code is not None and code > SIGNALS
        secs = min(SIGNAL_SECS, self.timeout_secs) if is_signal else self.timeout_secs
        async with anyio.create_task_group() as tasks:
            if code is not None:
                words = "" if message is None else f"{message.title}\n{message.body}"
                tasks.start_soon(self._ping, str(code or ""), words, secs, name="ping")
            if message is not None and notifies and self.addresses.notifies:
                for number, url in enumerate(self.addresses.urls, start=1):
                    name = f"{number} ({shown_service(url)})"
                    tasks.start_soon(_notify, name, url, message, secs, name=f"notify {name}")

    async def _ping(self, signal: str, words: str, secs: float) -> None:
        url = self.addresses.ping_url
        if url is None:
            return
        from orchestrator.notifiers.ping import ping

        reason: str | None = f"{shown_host(url)} did not answer within {secs:g} s"
        with anyio.move_on_after(secs):
            reason = await ping(url, signal, words)
        if reason is not None:
            LOG.warning("ping_failed", ping=signal or "success", error=reason)


async def _notify(name: str, url: str, message: Message, secs: float) -> None:
    from orchestrator.notifiers.apprise_thread import send

    reason: str | None = f"not confirmed within {secs:g} s; it may have arrived"
    with anyio.move_on_after(secs):
        reason = await send(url, message.title, message.body, is_problem=message.is_problem)
    if reason is None:
        LOG.info("notification_sent", url=name)
    else:
        LOG.warning("notification_failed", url=name, error=reason)


def _record(
    folder: Path, end: str, news: str, closer: str | None = None
) -> tuple[str | None, str | None]:
    """Records what is announced; returns what was announced before."""
    try:
        return set_announced(folder / LEDGER, end, news, closer)
    except LeaseLost:
        raise
    except (OrchestratorError, OSError):
        # For example on a full disk: this must be announced all the same.
        return None, None
