from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

import orchestrator
from orchestrator.apify import models
from orchestrator.apify.models import accounts, actors, runs, storages
from orchestrator.apify.models.decoding import read_run, read_runs, reader_of
from orchestrator.errors import ServerFault
from tests.support.openapi_requests import examples, fields_of, mistakes_of_answer

RUN: dict[str, Any] = {
    "id": "run1",
    "actId": "actor1",
    "userId": "user1",
    "startedAt": "2026-01-02T03:04:05.678Z",
    "finishedAt": None,
    "status": "RUNNING",
    "meta": {"origin": "API", "userAgent": "orchestrator/1 (attempt k.1.1.1)"},
    "stats": {"restartCount": 0, "resurrectCount": 2, "computeUnits": 0.1},
    "options": {"build": "latest", "timeoutSecs": 300, "memoryMbytes": 1024, "diskMbytes": 2048},
    "buildId": "build1",
    "generalAccess": "RESTRICTED",
    "defaultKeyValueStoreId": "store1",
    "defaultDatasetId": "data1",
    "defaultRequestQueueId": "queue1",
    "usageTotalUsd": 0.2654,
}
SCHEMAS_OF_RUNS: dict[str, type[BaseModel]] = {
    "RunMeta": runs.RunMeta,
    "RunStats": runs.RunStats,
    "RunOptions": runs.RunOptions,
    "RunUsage": runs.RunUsage,
    "RunUsageUsd": runs.RunUsageUsd,
    "Metamorph": runs.Metamorph,
}
SCHEMAS: dict[str, type[BaseModel]] = {
    **SCHEMAS_OF_RUNS,
    "Actor": actors.Actor,
    "DefaultRunOptions": actors.DefaultRunOptions,
    "ActorChargeEvent": actors.ChargeEvent,
    "Task": actors.Task,
    "TaskOptions": actors.TaskOptions,
    "Build": actors.Build,
    "Dataset": storages.Dataset,
    "ListOfKeys": storages.KeyList,
    "KeyValueStoreKey": storages.Key,
    "UserPrivateInfo": accounts.Account,
    "AccountLimits": accounts.AccountLimits,
    "Limits": accounts.Limits,
    "Current": accounts.CurrentUse,
    "MonthlyUsage": accounts.MonthlyUsage,
    "UsageItem": accounts.UsageItem,
}
PRICES = (
    "PayPerEventActorPricingInfo",
    "PricePerDatasetItemActorPricingInfo",
    "FlatPricePerMonthActorPricingInfo",
    "FreeActorPricingInfo",
)
MODEL_OF_PATH: dict[str, Any] = {
    "/v2/actor-runs/{runId}": models.Run,
    "/v2/actors/{actorId}/runs": models.Run,
    "/v2/actor-tasks/{actorTaskId}/runs": models.Run,
    "/v2/actor-runs/{runId}/abort": models.Run,
    "/v2/actor-runs/{runId}/resurrect": models.Run,
    "/v2/actors/{actorId}": models.Actor,
    "/v2/actor-tasks/{actorTaskId}": models.Task,
    "/v2/actor-builds/{buildId}": models.Build,
    "/v2/datasets/{datasetId}": models.Dataset,
    "/v2/datasets": models.DatasetList,
    "/v2/key-value-stores/{storeId}/keys": models.KeyList,
    "/v2/users/me": models.Account,
    "/v2/users/me/limits": models.AccountLimits,
    "/v2/users/me/usage/monthly": models.MonthlyUsage,
    "/v2/actor-runs": models.RunList,
}
EXAMPLES = [
    (method, path, status, example)
    for method, path, status, example in examples()
    if status < 300 and isinstance(example, dict) and "data" in example
]


def read(model: Any, answer: Any) -> Any:
    own = {models.Run: read_run, models.RunList: read_runs}
    return own.get(model, reader_of(lambda: model))(json.dumps(answer).encode())


def names_of(model: type[BaseModel]) -> set[str | None]:
    """The fields of a model, by their names in the API."""
    return {
        field.alias or (name.upper() if issubclass(model, runs.ServiceUsage) else to_camel(name))
        for name, field in model.model_fields.items()
    }


@pytest.mark.parametrize(("schema", "model"), SCHEMAS.items(), ids=SCHEMAS)
def test_model_has_documented_fields_only(schema: str, model: type[BaseModel]) -> None:
    """A field without a counterpart in the official description would never be filled."""
    assert names_of(model) - fields_of(schema) == set()


def test_model_has_no_field_that_nothing_reads() -> None:
    """Some code reads each field; only a run has all documented fields."""
    sources = Path(orchestrator.__file__).parent.rglob("*.py")
    read_names = set(re.findall(r"\.([a-z_]+)\b", " ".join(path.read_text() for path in sources)))
    others: set[type[BaseModel]] = {*SCHEMAS.values(), actors.PricingInfo}
    others -= set(SCHEMAS_OF_RUNS.values())
    fields = {f"{model.__name__}.{name}" for model in others for name in model.model_fields}
    assert {field for field in fields if field.partition(".")[2] not in read_names} == set()


def test_price_has_documented_fields_only() -> None:
    """Each field of a price belongs to one of the pricing models."""
    documented = set().union(*map(fields_of, PRICES))
    assert names_of(actors.PricingInfo) - documented == set()


@pytest.mark.parametrize(("schema", "model"), SCHEMAS_OF_RUNS.items(), ids=SCHEMAS_OF_RUNS)
def test_part_of_a_run_has_every_documented_field(schema: str, model: type[BaseModel]) -> None:
    """Each field of a run in the official description has its place in a model."""
    assert {name.rstrip("?") for name in fields_of(schema)} - names_of(model) == set()


def test_run_has_every_documented_field() -> None:
    """Each documented field of a run can be read, by its name in snake_case."""
    names = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", field).lower() for field in fields_of("Run")}
    assert {name for name in names if not hasattr(models.Run({"id": "x"}), name)} == set()


def test_list_shows_what_is_read_of_its_runs() -> None:
    """The search for a lost start reads fields that lists have, too."""
    read_there = {
        "id", "actId", "actorTaskId", "status", "startedAt", "finishedAt", "buildNumber", "meta",
        "usageTotalUsd", "defaultKeyValueStoreId", "defaultDatasetId",
    }  # fmt: skip
    assert read_there - fields_of("RunShort") == set()
    assert {"total", "items"} - fields_of("ListOfRuns") == set()


@pytest.mark.parametrize(
    ("method", "path", "status", "example"),
    EXAMPLES,
    ids=[f"{method} {path} {status}" for method, path, status, _ in EXAMPLES],
)
def test_documented_example_is_read(method: str, path: str, status: int, example: Any) -> None:
    """Each example of the official description can be read; a list at least as a page."""
    model = MODEL_OF_PATH.get(path, models.WireModel)
    if method == "GET" and path.endswith("/runs"):
        model = models.RunList
    if isinstance(example["data"], list):
        pytest.skip("an answer of another form, which the client does not ask for")
    assert read(model, example) is not None


def test_run_gives_its_facts() -> None:
    """The facts that decisions need come from the run."""
    facts = read(models.Run, {"data": RUN}).facts()
    assert facts.id == "run1"
    assert facts.started_at == datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    assert facts.cost_usd == Decimal("0.2654")
    assert facts.user_agent == "orchestrator/1 (attempt k.1.1.1)"
    assert facts.resurrect_count == 2
    assert (facts.dataset_id, facts.store_id) == ("data1", "store1")
    assert not facts.is_terminal


def test_list_item_gives_its_facts() -> None:
    """A run in a list shows to which attempt it belongs, and its status."""
    page = read(models.RunList, {"data": {"total": 1, "count": 1, "items": [RUN]}})
    facts = page.items[0].facts()
    assert (facts.id, facts.status) == ("run1", "RUNNING")
    assert facts.user_agent == "orchestrator/1 (attempt k.1.1.1)"


def test_nested_objects_are_read_on_access() -> None:
    """A run's options and usage are read with their types."""
    usage = {"DATA_TRANSFER_EXTERNAL_GBYTES?": 0.5, "DATASET_READS": 4}
    run = read(models.Run, {"data": RUN | {"usage": usage, "usageUsd": usage}})
    assert run.options.memory_mbytes == 1024
    assert run.usage.data_transfer_external_gbytes == 0.5
    assert run.usage_usd.data_transfer_external_gbytes == Decimal("0.5")
    assert run.metamorphs is None


def test_run_is_written_as_it_was_received() -> None:
    """A run that is written to disk has everything that the platform sent, also unknown fields."""
    reported = RUN | {"brandNew": {"a": [1, 2.5]}, "status": "ON-HOLD"}
    run = read(models.Run, {"data": reported})
    assert json.loads(run.to_json()) == reported
    assert not mistakes_of_answer(
        "GET", "/v2/actor-runs/x", 200, {"data": json.loads(run.to_json()) | {"status": "READY"}}
    )


def test_missing_fields_are_tolerated() -> None:
    """A run of which only the id is known can still be followed."""
    run = read(models.Run, {"data": {"id": "run1"}})
    assert run.stats is None
    assert run.facts().id == "run1"


def test_field_of_an_unexpected_type_counts_as_missing() -> None:
    """If the platform changes the type of a field, only that field is lost, not the run."""
    reported = RUN | {"exitCode": {"code": 1}, "startedAt": 7.5e300, "stats": [], "meta": "x"}
    run = read(models.Run, {"data": reported})
    assert (run.id, run.exit_code, run.started_at) == ("run1", None, None)
    assert run.facts().user_agent is None
    assert run.stats is None


def test_unreadable_part_is_left_out() -> None:
    """A nested object with one invalid field is read without that field."""
    run = read(models.Run, {"data": RUN | {"options": {"build": 5, "memoryMbytes": 256}}})
    assert run.options.build is None
    assert run.options.memory_mbytes == 256


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "an empty body"),
        (b"<!doctype html><title>Login</title>", "an HTML page titled 'Login'"),
        (b'{"data": {"id": "r', "JSON that breaks off"),
        (b'{"data": {}}', "no run with an id"),
        (b"[]", "not what the API promises"),
        (b'{"error": {}}', "not what the API promises"),
    ],
)
def test_unreadable_answer_is_described(body: bytes, words: str) -> None:
    """A success without the API's JSON is an error that says what came instead."""
    with pytest.raises(ServerFault, match=words):
        read_run(body)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<!doctype html>", "an HTML page"),
        (b'{"data": {}}', "data.items"),
        (b'{"data": {"items": [{"id": "run1"}, {}]}}', "data.items"),
        (b"[]", "not what the API promises"),
    ],
)
def test_unreadable_list_is_described(body: bytes, words: str) -> None:
    """A list without the API's JSON is an error that says what came instead."""
    with pytest.raises(ServerFault, match=words):
        read_runs(body)


def test_invalid_field_of_a_list_item_counts_as_missing() -> None:
    """One invalid field in a list loses neither the list nor the item."""
    page = read(models.RunList, {"data": {"items": [RUN | {"buildNumber": {}}, RUN]}})
    assert [item.id for item in page.items] == ["run1", "run1"]
    assert page.items[0].build_number is None


def test_secrets_are_not_shown() -> None:
    """A dataset's signing key and the proxy password never appear in logs and tracebacks."""
    dataset = read(models.Dataset, {"data": {"id": "d", "urlSigningSecretKey": "s3cret"}})
    account = read(models.Account, {"data": {"proxy": {"password": "s3cret"}}})
    assert "s3cret" not in repr(dataset) + repr(account)
