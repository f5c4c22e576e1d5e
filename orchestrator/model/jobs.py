"""
A job: one unit of work of a batch, as the ledger holds it.

All values are fixed before the batch starts, except those of `env` templates: a secret is rendered
when the job starts, and no file holds it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from pydantic import JsonValue

from orchestrator.model.ids import JobKey
from orchestrator.model.rules import Rule

MAX_INPUT_BYTES = 9_437_184
"""The platform's limit of a start request's body (API reference, "Run Actor", 413)."""


KEY = re.compile(r"[A-Za-z0-9_=-][A-Za-z0-9._=-]{0,199}")
"""What can be the key of a job: it is also the name of its folder."""


class TargetKind(StrEnum):
    """What a job runs."""

    ACTOR = "actor"
    TASK = "task"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An Actor or a task, named as the user did: an id, `owner/name` or `owner~name`."""

    kind: TargetKind
    id: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    def __hash__(self) -> int:
        # A string keeps its hash, and each job is looked up by its target many times.
        return hash(self.id)


class Mode(StrEnum):
    """How a job is started: by a start and long polls, or by one synchronous request."""

    ASYNC = "async"
    SYNC = "sync"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An ad-hoc webhook of one run (API reference, "Ad-hoc webhooks"); None leaves a field out."""

    event_types: tuple[str, ...]
    request_url: str
    payload_template: str | None = None
    headers_template: str | None = None
    idempotency_key: str | None = None
    ignore_ssl_errors: bool | None = None
    do_not_retry: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """
    The parameters of a start. None means the platform's own default.

    Attributes:
        timeout_secs: of the run; 0 means none.
        memory_mbytes: a power of two from 128 to 32768.
        max_items: cap on charged items, not on stored items.
        max_total_charge_usd: cap on the run's cost.
        force_permission_level: Actors only, not in sync mode.
    """

    timeout_secs: int | None = None
    memory_mbytes: int | None = None
    max_items: int | None = None
    max_total_charge_usd: Decimal | None = None
    restart_on_error: bool | None = None
    build: str | None = None
    webhooks: tuple[Webhook, ...] = ()
    force_permission_level: str | None = None


JSON_TYPE = "application/json"
"""The content type of most inputs."""

VARIABLE = re.compile(rb"""\benv\s*(?:\.\s*(\w+)|\[\s*\\?["']([^"'\\]+))""")
"""`env.NAME` and `env["NAME"]`, also inside a JSON string; a template can spell it no other way."""


def variables_in(text: bytes) -> set[str]:
    """The environment variables that expressions in a text name; may hold other words too."""
    return {(one or other).decode() for one, other in VARIABLE.findall(text)}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInput:
    """
    What a job sends to its Actor.

    At most one of `body` and `path` is set; with neither, the task's own input is used.

    Attributes:
        body: the bytes to send, except that strings at `late_paths` are still templates.
        path: absolute path of an `input_file`, read when the job starts.
        sha256: of the bytes to send (of the file, for `path`), hex; empty without input.
        size_bytes: of the same bytes.
        late_paths: the places in the JSON of `body` of strings with an `env` or `needs` template;
            they are rendered with `Job.params` when the job starts.
    """

    content_type: str = JSON_TYPE
    body: bytes | None = None
    path: str | None = None
    sha256: str = ""
    size_bytes: int = 0
    late_paths: tuple[tuple[str | int, ...], ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is sent: the task's own input is used."""
        return self.body is None and self.path is None

    @property
    def variables(self) -> set[str]:
        """The environment variables that its expressions name; may hold other words too."""
        if self.body is None or not self.late_paths:
            return set()
        # A search in the text: a word too many does no harm, a missing one would show a secret.
        return variables_in(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsQuery:
    """
    The parameters of the dataset items endpoint; None leaves a parameter out.

    Names are the API's in snake_case (API reference, "Get dataset items").
    """

    format: str = "jsonl"
    clean: bool | None = None
    fields: tuple[str, ...] = ()
    output_fields: tuple[str, ...] = ()
    omit: tuple[str, ...] = ()
    unwind: tuple[str, ...] = ()
    flatten: tuple[str, ...] = ()
    desc: bool | None = None
    skip_empty: bool | None = None
    skip_hidden: bool | None = None
    view: str | None = None
    delimiter: str | None = None
    bom: bool | None = None
    skip_header_row: bool | None = None
    xml_root: str | None = None
    xml_row: str | None = None
    feed_title: str | None = None
    feed_description: str | None = None
    simplified: bool | None = None
    skip_failed_pages: bool | None = None

    def __hash__(self) -> int:
        # Not of all fields: a batch has few queries, and looks them up for each job.
        return hash(self.format)


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectPlan:
    """
    What to download of a run.

    Attributes:
        items: the default dataset, as `items.<format>`.
        datasets: aliases of other datasets, or patterns; or names of datasets that runs share.
        output: the record `output_record_key` (`OUTPUT`), as `output.<ext>`.
        records: shell patterns of other keys of the default key-value store.
        log: the run's log, as `log.txt`.
        live: whether items are downloaded while the run is in progress.
        run, input: whether `run.json` and `input.json` are written; else the ledger holds both.
    """

    items: bool = True
    datasets: tuple[str, ...] = ()
    output: bool = False
    records: tuple[str, ...] = ()
    log: bool = False
    live: bool = False
    run: bool = True
    input: bool = True
    # Frozen, so that one value serves all jobs that say nothing else: each job is built twice.
    query: ItemsQuery = ItemsQuery()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """
    What a job expects of the results of a run that succeeded; None and empty expect nothing.

    Attributes:
        max_drop: how many fewer items than usual are allowed, as a share from 0 to 1.
        share: for some fields, the share of items from 0 to 1 that must have a value, not null.
        fields: in which every item must have a value, not null.
        schema: a JSON Schema that every item must match.
        unique: fields whose values together must differ in every item.
    """

    min_items: int | None = None
    max_items: int | None = None
    max_drop: float | None = None
    fields: tuple[str, ...] = ()
    share: dict[str, float] = field(default_factory=dict)
    schema: dict[str, JsonValue] | None = None
    unique: tuple[str, ...] = ()
    max_duration_secs: float | None = None

    @property
    def reads_items(self) -> bool:
        """Whether the items must be read."""
        return bool(self.fields or self.share or self.unique or self.schema is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """
    One unit of work: an Actor or a task with one input.

    Attributes:
        seq: its place in the batch, counted from 0 in the order of the spec.
        key: stable name, unique in the batch if case is ignored; also the name of its folder.
        params: the values that its templates were rendered with: `[params]` and its cell of the
            matrix, never `env`.
        wait_for_finish_secs: of one long poll, 0 to 60.
        retries: how many more attempts follow when its run does not succeed.
        priority: higher starts earlier.
        needs: keys, or shell patterns of keys, of jobs that must have succeeded before.
        reuse_secs: how old results of an earlier batch may be to be reused; None reuses nothing.
        expect: what its results must be like; None accepts everything.
        rules: what follows a run that did not succeed; the first that matches decides.
        abort_after_factor: a run is aborted when it takes this many times the usual duration of its
            Actor or task in this batch.
    """

    seq: int
    key: JobKey
    target: Target
    mode: Mode = Mode.ASYNC
    input: JobInput = JobInput()
    options: RunOptions = RunOptions()
    output_record_key: str = "OUTPUT"
    wait_for_finish_secs: int = 60
    retries: int = 0
    priority: int = 0
    rules: tuple[Rule, ...] = ()
    abort_after_factor: float | None = None
    pools: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    reuse_secs: float | None = None
    params: dict[str, JsonValue] = field(default_factory=dict)
    collect: CollectPlan = CollectPlan()
    expect: Expectation | None = None


def reuse_key(job: Job) -> tuple[object, ...] | None:
    """
    Two jobs with the same key have the same results.

    None for a job whose input is not known before it starts.
    """
    if job.input.late_paths or job.needs:
        return None
    # All that decides what a run makes and what is downloaded of it: the key decides neither.
    return (
        job.target,
        job.mode,
        job.input.sha256,
        job.input.content_type,
        job.options,
        job.output_record_key,
        job.collect,
        job.expect,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """
    What admission needs to know of a job; jobs that ask for the same have equal demands.

    Attributes:
        memory_mbytes, timeout_secs: None for the default of the Actor or task.
        cap_usd: the most that a run may cost; None if the job does not limit it.
    """

    target: Target
    memory_mbytes: int | None = None
    timeout_secs: int | None = None
    cap_usd: Decimal | None = None
    pools: tuple[str, ...] = ()


def demand_of(job: Job) -> Demand:
    """The part of a job that admission uses."""
    return Demand(
        target=job.target,
        memory_mbytes=job.options.memory_mbytes,
        timeout_secs=job.options.timeout_secs,
        cap_usd=job.options.max_total_charge_usd,
        # Sorted: the same pools in another order make the same demand.
        pools=tuple(sorted(job.pools)),
    )
