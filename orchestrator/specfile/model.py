"""
The spec as pydantic models: each field with its meaning, unit and bounds; unknown ones are refused.

Most values of a job may be templates, also numbers. Such a field holds the text here, and is
checked again after rendering.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from orchestrator.specfile.batch_end import NotifyTable, ResultsTable, RetentionTable
from orchestrator.specfile.field_types import (
    ActorName,
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
    Secs,
    Share,
    Table,
    TaskName,
    Text,
    TimeoutSecs,
    TimeZone,
    WebAddress,
    WholeNumber,
)
from orchestrator.specfile.sweep.matrix import MatrixTable


class BatchTable(Table):
    """The batch as a whole."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_=-][A-Za-z0-9._=-]{0,99}$")]
    """The name of the output folder: 1 to 100 of `A-Za-z0-9._=-`, with no dot at the start."""
    max_runs: Positive | None = None
    """The most runs at once. Default: the limit of the account."""
    max_memory_mbytes: Positive | None = None
    """The most memory of all live runs, in megabytes. Default: the limit of the account."""
    max_cost_usd: PlainMoney | None = None
    """
    The most that the batch may cost, in US dollars. A run starts only if the money spent, the caps
    of live runs and its own cap together stay within it.
    """
    stop_after_failures: Failures | None = None
    """
    Stops the batch when this many jobs have failed: a count, or a share of the settled jobs such as
    `"10%"`. A share applies from 20 settled jobs on, or from half of a smaller batch.
    """
    deadline_secs: PositiveSecs | None = None
    """
    How long the command may take, in seconds. Then it starts nothing more, aborts live runs, and
    downloads their results.
    """
    on_unconfirmed: Literal["adopt", "fail", "restart"] = "adopt"
    """What to do if the answer to a start was lost and its run cannot be found (adopt)."""
    max_jobs: Positive = 1_000_000
    """A spec that expands to more jobs is refused (1,000,000)."""
    schedule: CronText | None = None
    """
    When a batch is due: cron notation such as `"15 2 * * *"`, or `@hourly`, `@daily`, `@weekly`,
    `@monthly`, `@yearly`. `run --resume` makes one batch for each occurrence. Default: `@daily`.
    """
    timezone: TimeZone | None = None
    """The zone of `schedule` and `{{ date }}`: `"Europe/Prague"`. Default: the machine's."""
    resume_within: Age | None = None
    """
    How long after its occurrence `run --resume` still resumes an interrupted batch, such as
    `"24h"`. Default: `"7d"`.
    """


class PoolTable(Table):
    """A named limit that jobs share."""

    max_runs: Positive | None = None
    """The most runs of the pool at once."""
    starts_per_minute: Positive | None = None
    """The most starts of the pool in any 60 seconds."""


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
    What to do after a run that did not succeed.

    The first rule whose conditions all hold decides. If there is none, the job gets up to `retries`
    further attempts, unless its run was aborted.
    """

    status: Annotated[list[FailedStatus], Listed()] | None = None
    """The status of the job after the run."""
    exit_code: Annotated[list[int], Listed()] | None = None
    """The exit code of the Actor's process."""
    message: Annotated[list[Text], Listed()] | None = None
    """Shell patterns, searched anywhere in the run's status message, ignoring case."""
    log: Annotated[list[Text], Listed()] | None = None
    """Shell patterns, searched in the lines of the last 64 KiB of the run's log."""
    do: Literal["restart", "resurrect", "give_up", "stop_batch"] = "restart"
    """
    `restart` starts another run, `resurrect` continues the same run with its storages, `give_up`
    settles the job, `stop_batch` stops the batch (restart).
    """
    max: Positive | None = None
    """The most attempts of the job, including the first one (`retries` + 1)."""
    backoff_secs: Secs | None = None
    """
    The approximate wait before the second attempt, in seconds; doubled for each further one (2).
    """
    memory_factor: Factor | None = None
    """Multiplies the memory of the next run; the result is rounded up to a power of two."""
    max_memory_mbytes: PlainMemory | None = None
    """The most memory that `memory_factor` leads to, in megabytes (32768)."""
    timeout_factor: Factor | None = None
    """Multiplies the timeout of the next run."""
    build: Text | None = None
    """The tag or number of the build of the next run."""
    input: dict[str, JsonValue] | None = None
    """
    Fields of the input that the next runs have instead of those of the job, such as
    `{ proxy = { useApifyProxy = true } }`; a `{ text_file = NAME }` in it is the text of a file.
    Goes with `do = "restart"` and an input as a table.
    """


class ExpectTable(Table):
    """What a successful run must produce; otherwise its job is REJECTED and its data is kept."""

    min_items: PlainCount | None = None
    """The fewest items."""
    max_items: PlainCount | None = None
    """The most items."""
    max_drop: Share | None = None
    """
    How far the number of items may fall below the median of the last ten batches of this name, as
    a share: `"30%"` or 0.3.
    """
    fields: list[Text] | None = None
    """Fields that every item must have, with a value other than null."""
    share: dict[str, Share] | None = None
    """
    Fields, each with the share of items that must have it with a value other than null:
    `{ price = 0.95 }` or `"95%"`.
    """
    json_schema: Annotated[dict[str, JsonValue] | None, Field(alias="schema")] = None
    """A JSON Schema for every item. References to other addresses are refused."""
    unique: Annotated[list[Text], Listed()] | None = None
    """Fields whose values together must differ between all items."""
    max_duration_secs: PositiveSecs | None = None
    """The longest that a run may take, in seconds."""


class CollectTable(Table):
    """What to download of a run. From `format` on, these are parameters of the items endpoint."""

    items: bool | None = None
    """The default dataset, as `items.<format>` (true)."""
    datasets: Annotated[list[Text], Listed()] | None = None
    """
    Other datasets of the run, by alias or by pattern of aliases (`["*"]`), as
    `datasets/<alias>.<format>`. Runs share a named dataset: give its exact name, and the batch
    downloads it once.
    """
    output: bool | None = None
    """The output record, as `output.<ext>` (false; true in sync mode)."""
    records: list[Text] | None = None
    """
    Other records of the default key-value store, by patterns of keys. Only the exact name matches
    `INPUT`.
    """
    log: bool | None = None
    """The run's log, as `log.txt` (false)."""
    live: bool | None = None
    """
    Downloads items during the run, into `.items.jsonl.*.part`. The file gets its final name when it
    is complete (false).
    """
    run: bool | None = None
    """The platform's description of the run, as `run.json`; else only in the ledger (true)."""
    input: bool | None = None
    """The input, as `input.json`; else only in the ledger (true)."""
    format: Literal["json", "jsonl", "csv", "xlsx", "xml", "html", "rss"] | None = None
    """The format of the items (jsonl)."""
    clean: bool | None = None
    """Leaves out empty items and hidden fields."""
    fields: list[Text] | None = None
    """The only fields to keep."""
    output_fields: list[Text] | None = None
    """New names for `fields`, in the same order."""
    omit: list[Text] | None = None
    """Fields to leave out."""
    unwind: list[Text] | None = None
    """Fields whose elements become separate items."""
    flatten: list[Text] | None = None
    """Fields whose inner fields are written as `outer.inner`."""
    desc: bool | None = None
    """Puts the newest item first."""
    skip_empty: bool | None = None
    """Leaves out empty items."""
    skip_hidden: bool | None = None
    """Leaves out fields that begin with `#`."""
    view: Text | None = None
    """A view of the dataset's schema."""
    delimiter: Text | None = None
    """The character between the cells of CSV (`,`)."""
    bom: bool | None = None
    """Puts a byte order mark at the start of the file."""
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
    """The form of the platform's first version: the page function's result as fields."""
    skip_failed_pages: bool | None = None
    """Leaves out items with an `errorInfo`; with `simplified` only."""


class JobFields(Table):
    """The fields of `[[jobs]]` and `[defaults]`. The platform decides what is not given."""

    actor: ActorName | None = None
    """
    The Actor to run: an id, `owner/name`, or its address in the Console or the Store. A job has
    either an actor or a task.
    """
    task: TaskName | None = None
    """The task to run: an id, `owner/name`, or its address in the Console."""
    mode: Literal["async", "sync"] | None = None
    """`async` starts a run and polls it; `sync` uses one long request for a short run (async)."""
    input: InputValue | None = None
    """
    The input: a table, or one template that gives a table. In it, `{ text_file = NAME }` is the
    text of a file.
    """
    input_file: Text | None = None
    """
    A file with the input, relative to the spec; sent unchanged. With `input` as well, a JSON object
    whose fields are added where `input` does not have them.
    """
    input_content_type: Text | None = None
    """The content type of an `input_file` without `input` (application/json)."""
    timeout_secs: TimeoutSecs | None = None
    """How long a run may take, in seconds; 0 means no limit."""
    memory_mbytes: Memory | None = None
    """The memory of a run, in megabytes: a power of two from 128 to 32768."""
    max_items: PositiveOrTemplate | None = None
    """The most items that the platform charges for."""
    max_total_charge_usd: Money | None = None
    """The most that a run may cost, in US dollars."""
    restart_on_error: Flag | None = None
    """Whether the platform restarts a failed run by itself."""
    build: Text | None = None
    """The tag or number of the Actor's build."""
    webhooks: list[WebhookTable] | None = None
    """Ad-hoc webhooks of each run."""
    force_permission_level: Literal["LIMITED_PERMISSIONS", "FULL_PERMISSIONS"] | None = None
    """The permissions of a run. Actors in async mode only."""
    output_record_key: Text | None = None
    """The key of the output record (OUTPUT). Sync mode only."""
    wait_for_finish_secs: Poll | None = None
    """How long the platform may hold one poll, in seconds, 0 to 60 (60). Async mode only."""
    retries: Count | None = None
    """The number of further attempts after a run that did not succeed (0)."""
    priority: WholeNumber | None = None
    """Jobs with a higher number start earlier (0)."""
    rules: list[RuleTable] | None = None
    """What to do after a run that did not succeed."""
    expect: ExpectTable | None = None
    """What a successful run must produce."""
    abort_after_factor: Factor | None = None
    """
    Aborts a run that takes this many times the median time of its Actor or task in this batch. It
    applies once five runs have succeeded.
    """
    pools: list[Text] | None = None
    """The pools whose limits the job's run counts in."""
    tags: list[Text] | None = None
    """Words for `--select`."""
    needs: list[Text] | None = None
    """
    Keys, or shell patterns of keys, of the jobs that must succeed first. `input` can use their
    results: `{{ needs.KEY.dataset_id }}`, or `run_id`, `store_id`, `output`, `items`.
    """
    reuse: Age | None = None
    """
    Reuses the results of an earlier batch of this name, up to this age: `"24h"`, `"7d"`. The job
    must have the same Actor or task, build, input and options. `--force` runs it anyway.
    """
    collect: CollectTable | None = None
    """What to download of a run."""


class JobTable(JobFields):
    """A job, or with a matrix the jobs of a sweep."""

    name: Text
    """The key of the job. With a matrix, a template that gives each cell another key."""
    matrix: MatrixTable | None = None
    """Parameters and their values. Each combination is a job."""


class Spec(Table):
    """A batch of Apify runs for `orchestrator run`."""

    include: list[Text] | None = None
    """
    Other specs, relative to this one, whose tables and jobs this spec extends. Its own values win.
    """
    batch: BatchTable
    """The batch as a whole."""
    retention: RetentionTable | None = None
    """Which earlier batches stay when this one has ended. Default: all."""
    params: dict[str, JsonValue] = Field(default_factory=dict)
    """Values for templates; `--param NAME=VALUE` overrides them."""
    pools: dict[str, PoolTable] = Field(default_factory=dict)
    """Named limits that jobs share."""
    results: ResultsTable | None = None
    """The items of all jobs as one table."""
    notify: NotifyTable | None = None
    """Who hears of the end of a batch."""
    defaults: JobFields = Field(default_factory=JobFields)
    """Fields for each job that does not set its own."""
    jobs: Annotated[list[JobTable], Field(min_length=1)]
    """The jobs, and sweeps of jobs."""
