"""
The spec as pydantic models: every field with its meaning, unit and bounds; unknown ones refused.

Whatever a job says may be a template, numbers too: such a field holds the text here and is checked
again when it is rendered.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from orchestrator.specfile.field_types import (
    Age,
    AnyText,
    Count,
    CronText,
    EventType,
    Factor,
    FailedStatus,
    Failures,
    Flag,
    InputValue,
    Listed,
    Memory,
    Money,
    PlainCount,
    PlainMemory,
    PlainMoney,
    Poll,
    Positive,
    PositiveOrTemplate,
    PositiveSecs,
    Resource,
    Secs,
    Share,
    Table,
    Text,
    TimeZone,
    WebAddress,
    WholeNumber,
)
from orchestrator.specfile.sweep.matrix import MatrixTable


class BatchTable(Table):
    """What holds for the batch as a whole."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_=-][A-Za-z0-9._=-]{0,99}$")]
    """Names the output folder: 1 to 100 of `A-Za-z0-9._=-`, not starting with a dot."""
    max_runs: Positive | None = None
    """Runs at once. Default: what the account allows."""
    max_memory_mbytes: Positive | None = None
    """Memory of all runs together, in megabytes. Default: what the account allows."""
    max_cost_usd: PlainMoney | None = None
    """
    The most that the batch may cost, in US dollars: a run is started only when what is spent and
    what the live runs may still cost leaves room for it.
    """
    stop_after_failures: Failures | None = None
    """
    Starts nothing more once so many jobs have failed: a count, or a share of those that are over,
    such as `"10%"` (from 20 jobs on, or half of a smaller batch).
    """
    deadline_secs: PositiveSecs | None = None
    """
    How long the command may take, in seconds: then nothing more is started, and what still runs is
    aborted and collected.
    """
    on_unconfirmed: Literal["adopt", "fail", "restart"] = "adopt"
    """What to do with a start whose answer was lost and whose run is not to be found."""
    max_jobs: Positive = 1_000_000
    """A guard: a spec that expands to more jobs is refused."""
    schedule: CronText | None = None
    """
    When a batch is due, in cron notation such as `"15 2 * * *"`, or `@hourly`, `@daily`, `@weekly`,
    `@monthly`, `@yearly`: `run --resume` makes one batch of each occurrence. Default: each day.
    """
    timezone: TimeZone | None = None
    """Of the schedule and of `{{ date }}`, such as `"Europe/Prague"`. Default: the machine's."""
    resume_within: Age | None = None
    """
    `run --resume` resumes an interrupted batch of an earlier occurrence within this time from that
    occurrence, such as `"24h"`. Default: `"7d"`.
    """


class PoolTable(Table):
    """A named limit that jobs share."""

    max_runs: Positive | None = None
    """Runs of the pool at once."""
    starts_per_minute: Positive | None = None
    """Starts in any 60 seconds."""


class WebhookTable(Table):
    """An ad-hoc webhook of each run of the job."""

    event_types: Annotated[list[EventType], Field(min_length=1)]
    request_url: WebAddress
    payload_template: str | None = None
    headers_template: str | None = None
    idempotency_key: AnyText | None = None
    ignore_ssl_errors: bool | None = None
    do_not_retry: bool | None = None


class RuleTable(Table):
    """
    What follows a run that did not succeed.

    The first rule whose conditions all hold decides; where none does, the job is tried again up to
    `retries` times, unless its run was aborted.
    """

    status: Annotated[list[FailedStatus], Listed()] | None = None
    """How the job stands after the run."""
    exit_code: Annotated[list[int], Listed()] | None = None
    """The exit code of the Actor's process."""
    message: Annotated[list[Text], Listed()] | None = None
    """Shell patterns, looked for anywhere in the run's status message, without regard to case."""
    log: Annotated[list[Text], Listed()] | None = None
    """Shell patterns, looked for in the lines at the end of the run's log (64 KiB)."""
    do: Literal["restart", "resurrect", "give_up", "stop_batch"] = "restart"
    """
    `restart` starts another run, `resurrect` lets the same run go on in its storages, `give_up`
    settles the job, `stop_batch` starts nothing more.
    """
    max: Positive | None = None
    """Attempts of the job in all, the first one included (`retries` + 1)."""
    backoff_secs: Secs | None = None
    """
    How long to wait before the second attempt, in seconds, about; doubled for each further one (2).
    """
    memory_factor: Factor | None = None
    """The memory of the next run over that of this one, up to a power of two."""
    max_memory_mbytes: PlainMemory | None = None
    """Where `memory_factor` ends, in megabytes (32768)."""
    timeout_factor: Factor | None = None
    """The timeout of the next run over that of this one."""
    build: Text | None = None
    """The tag or number of the build of the next run."""


class ExpectTable(Table):
    """What a successful run must produce; otherwise its job is REJECTED and its data is kept."""

    min_items: PlainCount | None = None
    """The fewest items."""
    max_items: PlainCount | None = None
    """The most items."""
    max_drop: Share | None = None
    """
    How many fewer items than the median of the last ten batches of this name, as a share: `"30%"`
    or 0.3.
    """
    fields: list[Text] | None = None
    """Fields that every item has, and not as null."""
    share: dict[str, Share] | None = None
    """
    Fields, and the share of items that have them, and not as null: `{ price = 0.95 }` or `"95%"`.
    """
    json_schema: Annotated[dict[str, JsonValue] | None, Field(alias="schema")] = None
    """A JSON Schema that every item fits. It fetches nothing from elsewhere."""
    unique: Annotated[list[Text], Listed()] | None = None
    """Fields whose values together are another in every item."""
    max_duration_secs: PositiveSecs | None = None
    """The longest that a run may take, in seconds."""


class CollectTable(Table):
    """What to download of a run. From `format` on, these are parameters of the items endpoint."""

    items: bool | None = None
    """The default dataset, as `items.<format>` (true)."""
    datasets: Annotated[list[Text], Listed()] | None = None
    """
    Other datasets that the run filled, by alias or by pattern of aliases (`["*"]`), as
    `datasets/<alias>.<format>`; a named dataset, which runs share, by its exact name, once for the
    whole batch.
    """
    output: bool | None = None
    """The output record, as `output.<ext>` (false; true in sync mode)."""
    records: list[Text] | None = None
    """
    Other records of the default key-value store, by pattern of their keys; `INPUT` by its name.
    """
    log: bool | None = None
    """The run's log, as `log.txt` (false)."""
    live: bool | None = None
    """
    Fetches items while the run goes on, into `.items.jsonl.*.part`, which has its name when it is
    whole (false).
    """
    run: bool | None = None
    """The run as the platform describes it, as `run.json` (true). Otherwise the ledger keeps it."""
    input: bool | None = None
    """The input, as `input.json` (true). Otherwise the ledger keeps it."""
    format: Literal["json", "jsonl", "csv", "xlsx", "xml", "html", "rss"] | None = None
    """Of the items (jsonl)."""
    clean: bool | None = None
    """Leaves out empty items and hidden fields."""
    fields: list[Text] | None = None
    """The only fields to keep."""
    output_fields: list[Text] | None = None
    """New names for `fields`, in their order."""
    omit: list[Text] | None = None
    """Fields to leave out."""
    unwind: list[Text] | None = None
    """Fields whose elements become items of their own."""
    flatten: list[Text] | None = None
    """Fields whose inner fields are written as `outer.inner`."""
    desc: bool | None = None
    """The newest item first."""
    skip_empty: bool | None = None
    """Leaves out empty items."""
    skip_hidden: bool | None = None
    """Leaves out fields that begin with `#`."""
    view: Text | None = None
    """A view of the dataset's schema."""
    delimiter: Text | None = None
    """Between the cells of CSV (`,`)."""
    bom: bool | None = None
    """Whether the file begins with a byte order mark."""
    skip_header_row: bool | None = None
    """Leaves out the first row of CSV."""
    xml_root: Text | None = None
    """The outermost element of XML (`items`)."""
    xml_row: Text | None = None
    """The element of each item in XML (`item`)."""
    feed_title: Text | None = None
    """The title of an RSS feed."""
    feed_description: Text | None = None
    """The description of an RSS feed."""
    simplified: bool | None = None
    """The form of the platform's first version: as `fields` of the page function's result."""
    skip_failed_pages: bool | None = None
    """Leaves out items with an `errorInfo`; with `simplified` only."""


class JobFields(Table):
    """The fields of `[[jobs]]` and `[defaults]`. The platform decides what is not given."""

    actor: Resource | None = None
    """The Actor to run: an id or `owner/name`. Exactly one of actor and task."""
    task: Resource | None = None
    """The task to run: an id or `owner/name`."""
    mode: Literal["async", "sync"] | None = None
    """`async` starts and long-polls; `sync` makes one held request for a short run."""
    input: InputValue | None = None
    """The input, as a table; or one template that gives a table."""
    input_file: Text | None = None
    """A file with the input, relative to the spec; sent as it is."""
    input_content_type: Text | None = None
    """The content type of `input_file` (application/json)."""
    timeout_secs: Count | None = None
    """How long a run may take, in seconds; 0 is for ever."""
    memory_mbytes: Memory | None = None
    """The memory of a run, in megabytes: a power of two from 128 to 32768."""
    max_items: PositiveOrTemplate | None = None
    """The most items that are charged for."""
    max_total_charge_usd: Money | None = None
    """The most that a run may cost, in US dollars."""
    restart_on_error: Flag | None = None
    """Whether the platform starts a failed run again by itself."""
    build: Text | None = None
    """The tag or number of the Actor's build."""
    webhooks: list[WebhookTable] | None = None
    """Ad-hoc webhooks of each run."""
    force_permission_level: Literal["LIMITED_PERMISSIONS", "FULL_PERMISSIONS"] | None = None
    """The permissions of a run. Actors in async mode only."""
    output_record_key: Text | None = None
    """The key of the output record (OUTPUT). Sync mode only."""
    wait_for_finish_secs: Poll | None = None
    """How long the platform holds one poll, in seconds, 0 to 60 (60). Async mode only."""
    retries: Count | None = None
    """Further attempts after a run that did not succeed (0)."""
    priority: WholeNumber | None = None
    """Higher starts earlier (0)."""
    rules: list[RuleTable] | None = None
    """What follows a run that did not succeed."""
    expect: ExpectTable | None = None
    """What a run must have made that succeeded."""
    abort_after_factor: Factor | None = None
    """
    Aborts a run that takes so many times as long as the median of its Actor or task in this batch,
    once five of them have succeeded.
    """
    pools: list[Text] | None = None
    """The pools that the job's run counts in."""
    tags: list[Text] | None = None
    """Words to select jobs by."""
    needs: list[Text] | None = None
    """
    Keys of jobs, or shell patterns of keys, that must have succeeded before. Their results are
    values of `input`: `{{ needs.KEY.dataset_id }}`, or `run_id`, `store_id`, `output`, `items`.
    """
    reuse: Age | None = None
    """
    Takes what an earlier batch of this name has collected for a job with the same Actor or task,
    build, input and options, and is not older: `"24h"`, `"7d"`. `--force` runs it all the same.
    """
    collect: CollectTable | None = None
    """What to bring home of a run."""


class JobTable(JobFields):
    """A job, or with a matrix the jobs of a sweep."""

    name: Text
    """The key of the job: with a matrix, a template that differs from cell to cell."""
    matrix: MatrixTable | None = None
    """Parameters and their values. Every combination is a job."""


class ResultsTable(Table):
    """The items of all jobs that succeeded as one table, with `_job`, `_run` and the parameters."""

    format: Literal["jsonl", "csv", "parquet"] = "jsonl"
    """What it is written as (jsonl)."""
    partition_by: Annotated[list[Text], Listed()] | None = None
    """Columns, such as parameters, whose values become folders."""
    unique: Annotated[list[Text], Listed()] | None = None
    """Fields that tell items apart: of those with the same values one is kept."""
    unique_missing: Literal["keep", "drop"] = "keep"
    """What becomes of items in which a field of `unique` is missing or null (keep)."""
    new_only: bool = False
    """Only items that no earlier batch of this series gave, told apart by `unique`."""
    types: dict[str, Literal["timestamp", "date", "text", "integer", "number", "boolean"]] = Field(
        default_factory=dict
    )
    """
    What fields are in Parquet, such as `{ scraped_at = "timestamp" }`; without it, as in JSON.
    """
    csv_safe: bool = False
    """
    Puts a quote before cells that begin with `=`, `+`, `-` or `@`, which spreadsheets take for
    formulas.
    """


class Spec(Table):
    """A batch of Apify runs for `orchestrator run`."""

    include: list[Text] | None = None
    """
    Other specs, relative to this one, whose tables and jobs this one adds to; it wins over them.
    """
    batch: BatchTable
    """What holds for the batch as a whole."""
    params: dict[str, JsonValue] = Field(default_factory=dict)
    """Values for templates; `--param NAME=VALUE` overrides them."""
    pools: dict[str, PoolTable] = Field(default_factory=dict)
    """Limits that jobs share, by name."""
    results: ResultsTable | None = None
    """The items of all jobs as one table."""
    defaults: JobFields = Field(default_factory=JobFields)
    """Fields that all jobs have that do not say otherwise."""
    jobs: Annotated[list[JobTable], Field(min_length=1)]
    """The jobs, and sweeps of jobs."""
