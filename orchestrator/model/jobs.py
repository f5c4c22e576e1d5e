"""
A job: one line of work of a batch, as it stands in the ledger.

Everything in here is settled before the batch starts, except the values of `env` templates: a
secret is rendered when the job starts and lives in no file.
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


class Mode(StrEnum):
    """How a job is started: by a start and long polls, or by one held request (run-sync)."""

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
        max_items: cap on charged items, not on items made.
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


VARIABLE = re.compile(rb"""\benv\s*(?:\.\s*|\[\s*\\*["'])(\w+)""")
"""`env.NAME` and `env["NAME"]`, also where a JSON text holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInput:
    """
    What a job sends to its Actor.

    Exactly one of `body` and `path` is set, or neither: then the task's own input is used.

    Attributes:
        body: the bytes to send, except that strings at `late_paths` are still templates.
        path: absolute path of an `input_file`, read when the job starts.
        sha256: of the bytes to send (of the file, for `path`), hex; empty without input.
        size_bytes: of the same bytes.
        late_paths: where in the JSON of `body` a string with an `env` or `needs` template stands;
            such a string is rendered with `Job.params` when the job starts.
    """

    content_type: str = "application/json"
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
        """
        The variables of the environment that its expressions name, and perhaps some more words.
        """
        if self.body is None or not self.late_paths:
            return set()
        return {name.decode() for name in VARIABLE.findall(self.body)}


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


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectPlan:
    """
    What to bring home of a run.

    Attributes:
        items: the default dataset, as `items.<format>`.
        datasets: aliases of others, or patterns of aliases; or names of datasets that runs share.
        output: the record `output_record_key` (`OUTPUT`), as `output.<ext>`.
        records: shell patterns of other keys of the default key-value store.
        log: the run's log, as `log.txt`.
        live: whether items are fetched while the run goes on.
        run, input: whether `run.json` and `input.json` are written; the ledger has both otherwise.
    """

    items: bool = True
    datasets: tuple[str, ...] = ()
    output: bool = False
    records: tuple[str, ...] = ()
    log: bool = False
    live: bool = False
    run: bool = True
    input: bool = True
    query: ItemsQuery = field(default_factory=ItemsQuery)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """
    What a run must have made that succeeded; None and empty expect nothing.

    Attributes:
        max_drop: how many fewer items than usual, as a share from 0 to 1.
        share: fields, and the share of items from 0 to 1 that must have them, and not as null.
        fields: that every item has, and not as null.
        schema: a JSON Schema that every item fits.
        unique: fields whose values together are another in every item.
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
    def looks_at_items(self) -> bool:
        """Whether the items themselves must be read."""
        return bool(self.fields or self.share or self.unique or self.schema is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """
    One line of work: an Actor or a task with one input.

    Attributes:
        seq: its place in the batch, counted from 0 in the order of the spec.
        key: stable name, unique in the batch without regard to case; also its folder's name.
        params: the values that its templates were rendered with: `[params]` and its cell of the
            matrix, never `env`.
        wait_for_finish_secs: of one long poll, 0 to 60.
        retries: how many further attempts a job gets whose run did not succeed.
        priority: higher starts earlier.
        needs: keys, or shell patterns of keys, of jobs that must have succeeded before.
        reuse_secs: how old what an earlier batch collected may be to be taken; None takes nothing.
        expect: what a run must have made; None accepts everything.
        rules: what follows a run that did not succeed; the first that matches decides.
        abort_after_factor: a run is aborted that takes this many times as long as is usual for its
            Actor or task in this batch.
    """

    seq: int
    key: JobKey
    target: Target
    mode: Mode = Mode.ASYNC
    input: JobInput = field(default_factory=JobInput)
    options: RunOptions = field(default_factory=RunOptions)
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
    collect: CollectPlan = field(default_factory=CollectPlan)
    expect: Expectation | None = None


def likeness(job: Job) -> tuple[object, ...] | None:
    """
    What two jobs must have in common so that one's results are the other's.

    None for a job whose input is only known when it starts.
    """
    if job.input.late_paths or job.needs:
        return None
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
    What admission needs to know of a job; the same value for all jobs alike.

    Attributes:
        memory_mbytes, timeout_secs: None where the job leaves them to its Actor or task.
        cap_usd: the most that a run may cost; None where the job does not say.
    """

    target: Target
    memory_mbytes: int | None = None
    timeout_secs: int | None = None
    cap_usd: Decimal | None = None
    pools: tuple[str, ...] = ()


def demand_of(job: Job) -> Demand:
    """The part of a job that admission looks at."""
    return Demand(
        target=job.target,
        memory_mbytes=job.options.memory_mbytes,
        timeout_secs=job.options.timeout_secs,
        cap_usd=job.options.max_total_charge_usd,
        pools=tuple(sorted(job.pools)),
    )
