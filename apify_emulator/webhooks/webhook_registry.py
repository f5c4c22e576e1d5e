"""All webhooks, the events that they get, and their deliveries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import orjson
from anyio.abc import TaskGroup

from apify_emulator.account import USER_ID
from apify_emulator.ids import new_id
from apify_emulator.journal import Journal
from apify_emulator.refusals import record_not_found
from apify_emulator.runs.run import Run
from apify_emulator.times import iso, now
from apify_emulator.webhooks.dispatch import MAX_TRIES, Dispatch, deliver, fail
from apify_emulator.webhooks.template import DEFAULT, render, variables_of
from apify_emulator.webhooks.webhook import Webhook, read_webhook


class Webhooks:
    """All webhooks and their deliveries. Deliveries are kept in memory only."""

    def __init__(
        self, journal: Journal, group: TaskGroup, view: Callable[[Run], dict[str, Any]]
    ) -> None:
        self._journal = journal
        self._group = group
        self._view = view
        self.by_id: dict[str, Webhook] = {}
        self.dispatches: dict[str, Dispatch] = {}
        self._of_condition: dict[tuple[str, str], list[str]] = {}

    def load(self, documents: dict[str, dict[str, Any]]) -> None:
        """Loads the documents of the journal."""
        for document in documents.values():
            self._index(Webhook(**document))

    def find(self, webhook_id: str) -> Webhook:
        """
        Returns a webhook.

        Raises:
            ApiError: it does not exist (404).
        """
        webhook = self.by_id.get(webhook_id)
        if webhook is None:
            raise record_not_found("Webhook")
        return webhook

    def create(self, body: dict[str, Any], *, is_ad_hoc: bool) -> tuple[Webhook, bool]:
        """Creates a webhook, or finds the one with its idempotency key; says if it is new."""
        fresh = read_webhook(body, is_ad_hoc=is_ad_hoc)
        if fresh.idempotency_key:
            for known in self.by_id.values():
                if known.idempotency_key == fresh.idempotency_key:
                    return known, False
        self._keep(fresh)
        return fresh, True

    def update(self, webhook: Webhook, body: dict[str, Any]) -> Webhook:
        """Changes the fields that the body names."""
        known = {**webhook_view(webhook, self), "idempotencyKey": webhook.idempotency_key}
        changed = replace(
            read_webhook({**known, **body}, is_ad_hoc=webhook.is_ad_hoc),
            id=webhook.id,
            created_at=webhook.created_at,
        )
        self._forget_condition(webhook)
        self._keep(changed)
        return changed

    def delete(self, webhook: Webhook) -> None:
        """Deletes a webhook."""
        del self.by_id[webhook.id]
        self._forget_condition(webhook)
        self._journal.drop("webhook", webhook.id)

    def clear(self) -> None:
        """Deletes all webhooks and their deliveries."""
        for webhook_id in self.by_id:
            self._journal.drop("webhook", webhook_id)
        self.by_id.clear()
        self.dispatches.clear()
        self._of_condition.clear()

    def dispatches_of(self, webhook_id: str) -> list[Dispatch]:
        """Returns the deliveries of a webhook, oldest first."""
        return [one for one in self.dispatches.values() if one.webhook_id == webhook_id]

    def created(self, run: Run) -> None:
        """Delivers the event of a new run."""
        self._deliver_event(run, "ACTOR.RUN.CREATED")

    def resurrected(self, run: Run) -> None:
        """Delivers the event of a resurrected run."""
        self._deliver_event(run, "ACTOR.RUN.RESURRECTED")

    def ended(self, run: Run) -> None:
        """Delivers the event of the end of a run."""
        if self.by_id:
            # The status is TIMED-OUT, but the event is TIMED_OUT.
            self._deliver_event(run, f"ACTOR.RUN.{run.status.replace('-', '_')}")

    def _deliver_event(self, run: Run, event_type: str) -> None:
        # Most batches have no webhooks, so most runs stop here.
        if not self.by_id:
            return
        names = (("actorId", run.actor_id), ("actorTaskId", run.task_id), ("actorRunId", run.id))
        for name, value in names:
            for webhook_id in self._of_condition.get((name, value or ""), ()):
                webhook = self.by_id[webhook_id]
                if event_type in webhook.event_types:
                    self._send(webhook, event_type, run)

    def test(self, webhook: Webhook, run: Run | None) -> Dispatch:
        """
        Delivers an event of the type TEST.

        Args:
            run: of the webhook's condition; None gives an example.
        """
        if run is not None:
            return self._send(webhook, "TEST", run)
        return self._dispatch(webhook, "TEST", {"actorId": new_id(), "actorRunId": new_id()}, {})

    def _send(self, webhook: Webhook, event_type: str, run: Run) -> Dispatch:
        data = {"actorId": run.actor_id, "actorTaskId": run.task_id, "actorRunId": run.id}
        return self._dispatch(webhook, event_type, data, self._view(run))

    def _dispatch(
        self,
        webhook: Webhook,
        event_type: str,
        data: dict[str, str | None],
        resource: dict[str, Any],
    ) -> Dispatch:
        dispatch = Dispatch(
            id=new_id(),
            webhook_id=webhook.id,
            event_type=event_type,
            event_data={name: value for name, value in data.items() if value},
            created_at=now(),
        )
        self.dispatches[dispatch.id] = dispatch
        payload = {
            "userId": USER_ID,
            "createdAt": iso(dispatch.created_at),
            "eventType": event_type,
            "eventData": dispatch.event_data,
            "resource": resource,
        }
        try:
            body, headers = _rendered(webhook, variables_of(payload, dispatch.created_at))
        except ValueError as problem:
            # The templates of a webhook of an earlier version are not checked.
            fail(dispatch, f"the template {problem}")
            return dispatch
        tries = 1 if webhook.do_not_retry else MAX_TRIES
        send = partial(deliver, webhook.request_url, dispatch, body, headers, tries=tries)
        self._group.start_soon(send, name=f"webhook {webhook.id}")
        return dispatch

    def _keep(self, webhook: Webhook) -> None:
        self._index(webhook)
        self._journal.put("webhook", webhook.id, webhook)

    def _index(self, webhook: Webhook) -> None:
        self.by_id[webhook.id] = webhook
        for pair in webhook.condition.items():
            self._of_condition.setdefault(pair, []).append(webhook.id)

    def _forget_condition(self, webhook: Webhook) -> None:
        for pair in webhook.condition.items():
            self._of_condition[pair].remove(webhook.id)


def _rendered(webhook: Webhook, values: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    """Returns the body and the further headers of a delivery."""
    interpolate = webhook.should_interpolate
    payload = render(webhook.payload_template or DEFAULT, values, interpolate=interpolate)
    headers = render(webhook.headers_template or "{}", values, interpolate=interpolate)
    return orjson.dumps(payload), {name: str(value) for name, value in headers.items()}


def find_dispatch(webhooks: Webhooks, dispatch_id: str) -> Dispatch:
    """
    Returns a delivery.

    Raises:
        ApiError: it does not exist (404).
    """
    dispatch = webhooks.dispatches.get(dispatch_id)
    if dispatch is None:
        raise record_not_found("Webhook dispatch")
    return dispatch


def webhook_view(webhook: Webhook, webhooks: Webhooks) -> dict[str, Any]:
    """Returns a webhook as the API shows it."""
    sent = webhooks.dispatches_of(webhook.id)
    return {
        "id": webhook.id,
        "createdAt": iso(webhook.created_at),
        "modifiedAt": iso(webhook.modified_at),
        "userId": USER_ID,
        "isAdHoc": webhook.is_ad_hoc,
        "shouldInterpolateStrings": webhook.should_interpolate,
        "eventTypes": webhook.event_types,
        "condition": webhook.condition,
        "ignoreSslErrors": webhook.ignore_ssl_errors,
        "doNotRetry": webhook.do_not_retry,
        "requestUrl": webhook.request_url,
        "payloadTemplate": webhook.payload_template,
        "headersTemplate": webhook.headers_template,
        "description": webhook.description,
        "lastDispatch": {"status": sent[-1].status} if sent else None,
        "stats": {"totalDispatches": len(sent)},
    }


def webhooks_of(webhooks: Iterable[Webhook], name: str, value: str) -> list[Webhook]:
    """Returns the persistent webhooks of an Actor or a task."""
    return [
        webhook
        for webhook in webhooks
        if webhook.condition.get(name) == value and not webhook.is_ad_hoc
    ]
