"""Actors, tasks and builds (API reference, "Get Actor", "Get task", "Get build")."""

from __future__ import annotations

from pydantic import Field, JsonValue

from orchestrator.apify.models.base import Number, Time, Usd, Whole, WireModel


class TieredEventPrice(WireModel):
    """The price of one event in one pricing tier."""

    tiered_event_price_usd: Usd | None = None


class TieredItemPrice(WireModel):
    """The price of one item in one pricing tier."""

    tiered_price_per_unit_usd: Usd | None = None


class ChargeEvent(WireModel):
    """
    An event that a pay-per-event Actor charges for.

    Attributes:
        event_price_usd: of one event; absent where prices are tiered.
        event_tiered_pricing_usd: by the name of the tier.
        is_one_time_event: whether it is charged once per run at most.
    """

    event_title: str | None = None
    event_description: str | None = None
    event_price_usd: Usd | None = None
    event_tiered_pricing_usd: dict[str, TieredEventPrice] | None = None
    is_primary_event: bool | None = None
    is_one_time_event: bool | None = None


class PricingPerEvent(WireModel):
    """The events of a pay-per-event Actor, by name."""

    actor_charge_events: dict[str, ChargeEvent] | None = None


class PricingInfo(WireModel):
    """
    What an Actor's runs cost, whatever its pricing model.

    Attributes:
        pricing_model: `PAY_PER_EVENT`, `PRICE_PER_DATASET_ITEM`, `FLAT_PRICE_PER_MONTH` or `FREE`.
        apify_margin_percentage: the platform's share, 0 to 1.
        started_at: since when it holds.
        minimal_max_total_charge_usd: the least cap on its cost that a run may be given.
        unit_name: what is counted, for a price per item.
        price_per_unit_usd: of one item, or of one month.
        tiered_pricing: price per item by the name of the tier.
        trial_minutes: free minutes before a monthly price is due.
    """

    pricing_model: str | None = None
    apify_margin_percentage: Number | None = None
    created_at: Time | None = None
    started_at: Time | None = None
    notified_about_future_change_at: Time | None = None
    notified_about_change_at: Time | None = None
    reason_for_change: str | None = None
    is_price_change_notification_suppressed: bool | None = None
    force_contains_significant_price_change: bool | None = None
    pricing_per_event: PricingPerEvent | None = None
    minimal_max_total_charge_usd: Usd | None = None
    unit_name: str | None = None
    price_per_unit_usd: Usd | None = None
    tiered_pricing: dict[str, TieredItemPrice] | None = None
    trial_minutes: Number | None = None


class DefaultRunOptions(WireModel):
    """
    What a run of an Actor gets where its start does not say otherwise.

    Attributes:
        timeout_secs: 0 means none.
        memory_mbytes: in megabytes.
    """

    build: str | None = None
    timeout_secs: Whole | None = None
    memory_mbytes: Whole | None = None
    restart_on_error: bool | None = None
    max_items: Whole | None = None
    force_permission_level: str | None = None


class ActorStats(WireModel):
    """
    How much an Actor is used.

    Attributes:
        public_actor_run_stats30_days: runs of the last 30 days by status, and their `TOTAL`.
    """

    total_builds: Number | None = None
    total_runs: Number | None = None
    total_users: Number | None = None
    total_users7_days: Number | None = Field(None, alias="totalUsers7Days")
    total_users30_days: Number | None = Field(None, alias="totalUsers30Days")
    total_users90_days: Number | None = Field(None, alias="totalUsers90Days")
    total_metamorphs: Number | None = None
    last_run_started_at: Time | None = None
    actor_review_count: Number | None = None
    actor_review_rating: Number | None = None
    bookmark_count: Number | None = None
    public_actor_run_stats30_days: dict[str, Number] | None = Field(
        None, alias="publicActorRunStats30Days"
    )


class EnvVar(WireModel):
    """An environment variable of a version; the value of a secret one is never told."""

    name: str | None = None
    value: str | None = None
    is_secret: bool | None = None


class SourceFile(WireModel):
    """
    A file or folder of a version's source.

    Attributes:
        format: `TEXT` or `BASE64`, for `content`.
        name: path below the Actor's root.
        folder: whether it is a folder.
    """

    format: str | None = None
    content: str | None = None
    name: str | None = None
    folder: bool | None = None


class Version(WireModel):
    """
    A version of an Actor's source.

    Attributes:
        version_number: `MAJOR.MINOR`.
        source_type: where the source lives; decides which of the last four is set.
    """

    version_number: str | None = None
    source_type: str | None = None
    env_vars: list[EnvVar] | None = None
    apply_env_vars_to_build: bool | None = None
    build_tag: str | None = None
    source_files: list[SourceFile] | None = None
    git_repo_url: str | None = None
    tarball_url: str | None = None
    git_hub_gist_url: str | None = None


class TaggedBuild(WireModel):
    """The build that a tag points to."""

    build_id: str | None = None
    build_number: str | None = None
    build_number_int: Whole | None = None
    finished_at: Time | None = None


class ActorStandby(WireModel):
    """
    How an Actor or task answers requests without a start of its own.

    Attributes:
        idle_timeout_secs: how long a run stays without requests.
        memory_mbytes: of one run, in megabytes.
    """

    is_enabled: bool | None = None
    desired_requests_per_actor_run: Number | None = None
    max_requests_per_actor_run: Number | None = None
    idle_timeout_secs: Number | None = None
    build: str | None = None
    memory_mbytes: Number | None = None
    disable_standby_fields_override: bool | None = None
    should_pass_actor_input: bool | None = None


class ExampleRunInput(WireModel):
    """An input to try an Actor with."""

    body: str | None = None
    content_type: str | None = None


class Actor(WireModel):
    """
    An Actor.

    Attributes:
        name: without the owner's.
        username: the owner's.
        actor_permission_level: what its runs may do, unless a start forces another level.
        tagged_builds: by tag; None where a tag has no build.
        pricing_infos: past, present and announced.
    """

    id: str
    user_id: str | None = None
    name: str | None = None
    username: str | None = None
    description: str | None = None
    restart_on_error: bool | None = None
    is_public: bool | None = None
    actor_permission_level: str | None = None
    created_at: Time | None = None
    modified_at: Time | None = None
    stats: ActorStats | None = None
    versions: list[Version] | None = None
    pricing_infos: list[PricingInfo] | None = None
    default_run_options: DefaultRunOptions | None = None
    example_run_input: ExampleRunInput | None = None
    is_deprecated: bool | None = None
    deployment_key: str | None = None
    title: str | None = None
    tagged_builds: dict[str, TaggedBuild | None] | None = None
    actor_standby: ActorStandby | None = None
    readme_summary: str | None = None
    seo_title: str | None = None
    seo_description: str | None = None
    picture_url: str | None = None
    standby_url: str | None = None
    notice: str | None = None
    categories: list[str] | None = None
    is_critical: bool | None = None
    is_generic: bool | None = None
    is_source_code_hidden: bool | None = None
    has_no_dataset: bool | None = None


class TaskStats(WireModel):
    """How much a task is used."""

    total_runs: Number | None = None


class TaskOptions(WireModel):
    """
    What a run of a task gets where its start does not say otherwise; None leaves it to the Actor.

    Attributes:
        timeout_secs: 0 means none.
        memory_mbytes: in megabytes.
    """

    build: str | None = None
    timeout_secs: Whole | None = None
    memory_mbytes: Whole | None = None
    max_items: Whole | None = None
    max_total_charge_usd: Usd | None = None
    restart_on_error: bool | None = None


class Task(WireModel):
    """
    A task: an Actor with an input and options of its own.

    Attributes:
        act_id: of the Actor that it runs.
        name: without the owner's.
        username: the owner's.
        input: merged under the body of a start, property by property.
    """

    id: str
    user_id: str | None = None
    act_id: str = ""
    name: str | None = None
    username: str | None = None
    created_at: Time | None = None
    modified_at: Time | None = None
    removed_at: Time | None = None
    stats: TaskStats | None = None
    options: TaskOptions | None = None
    input: dict[str, JsonValue] | None = None
    title: str | None = None
    actor_standby: ActorStandby | None = None
    standby_url: str | None = None


class BuildMeta(WireModel):
    """How a build came to be."""

    origin: str | None = None
    client_ip: str | None = None
    user_agent: str | None = None


class BuildStats(WireModel):
    """
    What a build took.

    Attributes:
        duration_millis: from start to end, in milliseconds.
        run_time_secs: in seconds.
        compute_units: gigabytes of memory times hours.
        image_size_bytes: of what it made.
    """

    duration_millis: Number | None = None
    run_time_secs: Number | None = None
    compute_units: Number | None = None
    image_size_bytes: Number | None = None


class BuildOptions(WireModel):
    """What a build was started with; memory and disk in megabytes."""

    use_cache: bool | None = None
    beta_packages: bool | None = None
    memory_mbytes: Number | None = None
    disk_mbytes: Number | None = None


class BuildUsage(WireModel):
    """What a build used, in compute units."""

    actor_compute_units: Number | None = Field(None, alias="ACTOR_COMPUTE_UNITS")


class BuildUsageUsd(WireModel):
    """What a build cost, in US dollars."""

    actor_compute_units: Usd | None = Field(None, alias="ACTOR_COMPUTE_UNITS")


class Build(WireModel):
    """
    A build of an Actor.

    Attributes:
        status: the platform's word, as for runs.
        usage_total_usd: the cost; told to its owner only.
        input_schema: JSON text.
        act_version: the version that it was built from.
        actor_definition: what the source's `.actor/actor.json` said.
    """

    id: str
    act_id: str | None = None
    user_id: str | None = None
    started_at: Time | None = None
    finished_at: Time | None = None
    status: str = ""
    meta: BuildMeta | None = None
    stats: BuildStats | None = None
    options: BuildOptions | None = None
    usage: BuildUsage | None = None
    usage_total_usd: Usd | None = None
    usage_usd: BuildUsageUsd | None = None
    input_schema: str | None = None
    readme: str | None = None
    build_number: str | None = None
    act_version: Version | None = None
    actor_definition: dict[str, JsonValue] | None = None
