from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from orchestrator.apify import ApifyClient
from orchestrator.errors import InputRejected
from orchestrator.model.ids import DatasetId, Mark, RunId, StoreId
from orchestrator.model.jobs import ItemsQuery, RunOptions, Target, TargetKind, Webhook
from tests.support.openapi_requests import mistakes_of_request
from tests.support.scripted_transport import ScriptedTransport, client_of, reply, run_reply

ACTOR = Target(kind=TargetKind.ACTOR, id="apify/web-scraper")
TASK = Target(kind=TargetKind.TASK, id="me/my-task")
WEBHOOK = Webhook(event_types=("ACTOR.RUN.SUCCEEDED",), request_url="https://a.example/?x=1&y=ü")
EVERY_OPTION = RunOptions(
    timeout_secs=0,
    memory_mbytes=1024,
    max_items=10,
    max_total_charge_usd=Decimal("1.50"),
    restart_on_error=True,
    build="beta 1",
    webhooks=(WEBHOOK,),
)
OPTIONS_ON_THE_WIRE = {
    "timeout": "0",
    "memory": "1024",
    "maxItems": "10",
    "maxTotalChargeUsd": "1.50",
    "restartOnError": "true",
    "build": "beta 1",
    "webhooks": base64.b64encode(
        '[{"eventTypes":["ACTOR.RUN.SUCCEEDED"],"requestUrl":"https://a.example/?x=1&y=ü"}]'.encode()
    ).decode(),
}
EVERY_ITEM_PARAMETER = ItemsQuery(
    format="csv",
    clean=True,
    fields=("a", "b c"),
    output_fields=("x", "y"),
    omit=("z",),
    unwind=("u",),
    flatten=("f",),
    desc=False,
    skip_empty=True,
    skip_hidden=True,
    view="overview",
    delimiter=";",
    bom=False,
    skip_header_row=True,
    xml_root="r",
    xml_row="w",
    feed_title="t",
    feed_description="d",
    simplified=True,
    skip_failed_pages=True,
)
ITEMS_ON_THE_WIRE = {
    "format": "csv",
    "offset": "5",
    "limit": "7",
    "clean": "true",
    "fields": "a,b c",
    "outputFields": "x,y",
    "omit": "z",
    "unwind": "u",
    "flatten": "f",
    "desc": "false",
    "skipEmpty": "true",
    "skipHidden": "true",
    "view": "overview",
    "delimiter": ";",
    "bom": "false",
    "skipHeaderRow": "true",
    "xmlRoot": "r",
    "xmlRow": "w",
    "feedTitle": "t",
    "feedDescription": "d",
    "simplified": "true",
    "skipFailedPages": "true",
}
RUN, DATA, STORE = RunId("run1"), DatasetId("data1"), StoreId("store1")
Call = Callable[[ApifyClient], Awaitable[Any]]


def opened(make: Callable[[ApifyClient], Any]) -> Call:
    async def call(client: ApifyClient) -> None:
        async with make(client) as download:
            await download.read()

    return call


CALLS: dict[str, tuple[Call, str, dict[str, str]]] = {
    "start an Actor": (
        lambda c: c.runs.start(
            ACTOR,
            body=b"{}",
            options=RunOptions(force_permission_level="LIMITED_PERMISSIONS"),
            wait_secs=60,
        ),
        "POST /v2/acts/apify~web-scraper/runs",
        {"waitForFinish": "60", "forcePermissionLevel": "LIMITED_PERMISSIONS"},
    ),
    "start an Actor with every option": (
        lambda c: c.runs.start(ACTOR, body=b"{}", options=EVERY_OPTION),
        "POST /v2/acts/apify~web-scraper/runs",
        OPTIONS_ON_THE_WIRE,
    ),
    "start a task with every option": (
        lambda c: c.runs.start(TASK, options=EVERY_OPTION, wait_secs=1),
        "POST /v2/actor-tasks/me~my-task/runs",
        OPTIONS_ON_THE_WIRE | {"waitForFinish": "1"},
    ),
    "run an Actor in one request": (
        opened(
            lambda c: c.runs.run_sync(
                ACTOR, body=b"{}", options=EVERY_OPTION, output_record_key="MY OUTPUT"
            )
        ),
        "POST /v2/acts/apify~web-scraper/run-sync",
        OPTIONS_ON_THE_WIRE | {"outputRecordKey": "MY OUTPUT"},
    ),
    "run an Actor without input in one request": (
        opened(lambda c: c.runs.run_sync(ACTOR)),
        "POST /v2/acts/apify~web-scraper/run-sync",
        {},
    ),
    "run a task with input in one request": (
        opened(lambda c: c.runs.run_sync(TASK, body=b"{}", options=EVERY_OPTION)),
        "POST /v2/actor-tasks/me~my-task/run-sync",
        OPTIONS_ON_THE_WIRE,
    ),
    "run a task with its own input in one request": (
        opened(
            lambda c: c.runs.run_sync(
                TASK, options=RunOptions(memory_mbytes=256), output_record_key="O"
            )
        ),
        "POST /v2/actor-tasks/me~my-task/run-sync",
        {"memory": "256", "outputRecordKey": "O"},
    ),
    "run an Actor for its items": (
        opened(
            lambda c: c.runs.run_sync_items(
                ACTOR,
                body=b"{}",
                options=EVERY_OPTION,
                query=EVERY_ITEM_PARAMETER,
                offset=5,
                limit=7,
            )
        ),
        "POST /v2/acts/apify~web-scraper/run-sync-get-dataset-items",
        OPTIONS_ON_THE_WIRE | ITEMS_ON_THE_WIRE,
    ),
    "run a task with its own input for its items": (
        opened(lambda c: c.runs.run_sync_items(TASK)),
        "POST /v2/actor-tasks/me~my-task/run-sync-get-dataset-items",
        {"format": "jsonl"},
    ),
    "run a task by GET": (
        opened(lambda c: c.runs.run_sync(TASK, output_record_key="O", by_get=True)),
        "GET /v2/actor-tasks/me~my-task/run-sync",
        {"outputRecordKey": "O"},
    ),
    "run a task by GET for its items": (
        opened(lambda c: c.runs.run_sync_items(TASK, by_get=True)),
        "GET /v2/actor-tasks/me~my-task/run-sync-get-dataset-items",
        {"format": "jsonl"},
    ),
    "wait for a run": (
        lambda c: c.runs.get(RUN, wait_secs=60),
        "GET /v2/actor-runs/run1",
        {"waitForFinish": "60"},
    ),
    "look at a run": (lambda c: c.runs.get(RUN), "GET /v2/actor-runs/run1", {}),
    "list the account's runs": (
        lambda c: c.runs.list(
            started_after=datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC),
            started_before=datetime(2026, 1, 3, tzinfo=UTC),
            status=("RUNNING", "TIMED-OUT"),
            desc=True,
            limit=10,
            offset=20,
        ),
        "GET /v2/actor-runs",
        {
            "limit": "10",
            "offset": "20",
            "desc": "true",
            "status": "RUNNING,TIMED-OUT",
            "startedAfter": "2026-01-02T03:04:05.678Z",
            "startedBefore": "2026-01-03T00:00:00.000Z",
        },
    ),
    "list an Actor's runs": (
        lambda c: c.runs.list(target=ACTOR),
        "GET /v2/acts/apify~web-scraper/runs",
        {"limit": "1000"},
    ),
    "list a task's runs": (
        lambda c: c.runs.list(target=TASK),
        "GET /v2/actor-tasks/me~my-task/runs",
        {"limit": "1000"},
    ),
    "abort a run": (lambda c: c.runs.abort(RUN), "POST /v2/actor-runs/run1/abort", {}),
    "abort a run gracefully": (
        lambda c: c.runs.abort(RUN, gracefully=True),
        "POST /v2/actor-runs/run1/abort",
        {"gracefully": "true"},
    ),
    "resurrect a run": (
        lambda c: c.runs.resurrect(
            RUN,
            RunOptions(
                timeout_secs=60,
                memory_mbytes=512,
                max_items=1,
                max_total_charge_usd=Decimal(2),
                restart_on_error=False,
                build="latest",
            ),
        ),
        "POST /v2/actor-runs/run1/resurrect",
        {
            "timeout": "60",
            "memory": "512",
            "maxItems": "1",
            "maxTotalChargeUsd": "2",
            "restartOnError": "false",
            "build": "latest",
        },
    ),
    "read a log": (opened(lambda c: c.runs.stream_log(RUN)), "GET /v2/logs/run1", {}),
    "follow a log": (
        opened(lambda c: c.runs.stream_log(RUN, follow=True, raw=True)),
        "GET /v2/logs/run1",
        {"stream": "true", "raw": "true"},
    ),
    "read items": (
        opened(lambda c: c.storages.stream_items(DATA, EVERY_ITEM_PARAMETER, offset=5, limit=7)),
        "GET /v2/datasets/data1/items",
        ITEMS_ON_THE_WIRE,
    ),
    "look at a dataset": (lambda c: c.storages.get_dataset(DATA), "GET /v2/datasets/data1", {}),
    "list datasets": (
        lambda c: c.storages.list_datasets(unnamed=True, desc=True, limit=5, offset=2),
        "GET /v2/datasets",
        {"limit": "5", "offset": "2", "desc": "true", "unnamed": "true"},
    ),
    "read a record": (
        opened(lambda c: c.storages.stream_record(STORE, "MY KEY/1")),
        "GET /v2/key-value-stores/store1/records/MY%20KEY%2F1",
        {"attachment": "true"},
    ),
    "list keys": (
        lambda c: c.storages.list_keys(STORE, exclusive_start_key="a b", limit=5, prefix="p"),
        "GET /v2/key-value-stores/store1/keys",
        {"limit": "5", "exclusiveStartKey": "a b", "prefix": "p"},
    ),
    "look at an Actor": (
        lambda c: c.actors.get_target(ACTOR),
        "GET /v2/acts/apify~web-scraper",
        {},
    ),
    "look at a task": (lambda c: c.actors.get_target(TASK), "GET /v2/actor-tasks/me~my-task", {}),
    "look at a build": (
        lambda c: c.actors.get_build("build1", wait_secs=5),
        "GET /v2/actor-builds/build1",
        {"waitForFinish": "5"},
    ),
    "validate an input": (
        lambda c: c.actors.validate_input(ACTOR, b'{"a": 1}', build="latest"),
        "POST /v2/acts/apify~web-scraper/validate-input",
        {"build": "latest"},
    ),
    "look at the account": (lambda c: c.account.get(), "GET /v2/users/me", {}),
    "look at the limits": (lambda c: c.account.get_limits(), "GET /v2/users/me/limits", {}),
    "look at the usage": (
        lambda c: c.account.get_monthly_usage(date(2026, 2, 1)),
        "GET /v2/users/me/usage/monthly",
        {"date": "2026-02-01"},
    ),
}


def answer_to_all() -> Any:
    data = {"id": RUN, "items": [], "valid": True}
    return reply(200, {"data": data, "valid": True})


@pytest.mark.parametrize(("call", "line", "parameters"), CALLS.values(), ids=CALLS)
async def test_client_sends_what_the_api_expects(
    call: Call, line: str, parameters: dict[str, str]
) -> None:
    """Each method sends its endpoint and parameters, as the official description defines them."""
    transport = ScriptedTransport(answer_to_all())
    async with client_of(transport) as client:
        await call(client)
    (asked,) = transport.asked
    assert asked.line == line
    assert asked.query == parameters
    request = asked.request
    content_type = request.headers.get("Content-Type")
    assert not mistakes_of_request(
        request.method, request.url, content_type=content_type, body=request.body
    )
    assert request.headers["Authorization"] == "Bearer apify_api_made_up"


async def test_path_prefix_is_actors_on_request() -> None:
    """One setting selects the newer prefix of Actor endpoints."""
    transport = ScriptedTransport(run_reply(201))
    async with client_of(transport, path_prefix="actors") as client:
        await client.runs.start(ACTOR)
    assert transport.asked[0].line == "POST /v2/actors/apify~web-scraper/runs"


async def test_start_carries_its_mark_and_input() -> None:
    """A start has its mark in the User-Agent and sends its input unchanged."""
    transport = ScriptedTransport(run_reply(201))
    async with client_of(transport, user_agent="orchestrator/9") as client:
        run = await client.runs.start(
            ACTOR, body=b"<a/>", content_type="text/xml", mark=Mark("k3.1.1.1")
        )
    request = transport.asked[0].request
    assert request.headers["User-Agent"] == "orchestrator/9 (attempt k3.1.1.1)"
    assert (request.headers["Content-Type"], request.body) == ("text/xml", b"<a/>")
    assert run.facts().id == "run1"


async def test_large_input_is_compressed() -> None:
    """A body that gzip makes smaller is sent as gzip."""
    transport = ScriptedTransport(run_reply(201))
    async with client_of(transport) as client:
        await client.runs.start(ACTOR, body=json.dumps(["again"] * 1000).encode())
    request = transport.asked[0].request
    assert request.headers["Content-Encoding"] == "gzip"
    assert request.body is not None
    assert len(request.body) < 200


LEVEL = RunOptions(force_permission_level="FULL_PERMISSIONS")
IMPOSSIBLE: dict[str, tuple[Call, str]] = {
    "permission level of a task": (
        lambda c: c.runs.start(TASK, options=LEVEL),
        "force_permission_level",
    ),
    "permission level in sync mode": (
        opened(lambda c: c.runs.run_sync(ACTOR, options=LEVEL)),
        "force_permission_level",
    ),
    "restart of a task by GET": (
        opened(
            lambda c: c.runs.run_sync(TASK, options=RunOptions(restart_on_error=True), by_get=True)
        ),
        "restart_on_error",
    ),
    "an input by GET": (
        opened(lambda c: c.runs.run_sync(TASK, body=b"{}", by_get=True)),
        "by_get",
    ),
    "webhooks of a resurrection": (
        lambda c: c.runs.resurrect(RUN, RunOptions(webhooks=(WEBHOOK,))),
        "webhooks",
    ),
    "times in the list of a task's runs": (
        lambda c: c.runs.list(target=TASK, started_after=datetime(2026, 1, 1, tzinfo=UTC)),
        "narrowed by time",
    ),
    "a wait of 61 seconds": (lambda c: c.runs.start(ACTOR, wait_secs=61), "61"),
    "an input of ten million bytes": (
        lambda c: c.runs.start(ACTOR, body=b" " * 10_000_000),
        "10000000",
    ),
    "validation of a task's input": (lambda c: c.actors.validate_input(TASK, b"{}"), "task"),
    "an empty id": (lambda c: c.runs.get(RunId("")), "empty"),
}


@pytest.mark.parametrize(("call", "word"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
async def test_client_refuses_parameters_that_the_endpoint_does_not_have(
    call: Call, word: str
) -> None:
    """A parameter that an endpoint does not have is an error, and nothing is sent."""
    transport = ScriptedTransport(answer_to_all())
    async with client_of(transport) as client:
        with pytest.raises(InputRejected, match=word):
            await call(client)
    assert not transport.asked
