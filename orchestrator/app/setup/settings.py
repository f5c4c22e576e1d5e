"""
Settings: flags over environment over `config.toml` over defaults.

`APIFY_TOKEN` and `APIFY_API_BASE_URL` have the meaning of Apify's own tools; every other setting
is `ORCHESTRATOR_<NAME>`. The token comes from the environment, or from the file that `apify login`
wrote, and never from a config file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from orchestrator.api_token import NOT_LOGGED_IN, checked_token, saved_token
from orchestrator.app.batch_folders import REMOTE, folder_of_remote
from orchestrator.app.setup.setting_urls import (
    LedgerUrl,
    NotifyUrls,
    PingUrl,
    secret_url,
    secret_urls,
)
from orchestrator.app.setup.settings_sources import (
    BELOW_SPEC,
    OWN_NAMES,
    PREFIX,
    ConfigFile,
    Environment,
    check_working_folder,
    find_config,
    parse_config,
    place_in,
    unknown_variables_of,
    variable_of,
)
from orchestrator.errors import ConfigError
from orchestrator.extras import Extra, not_installed
from orchestrator.model.batches import Batch
from orchestrator.model.schedule import check_schedule
from orchestrator.specfile.diagnostics import is_one_slip, plain, unknown
from orchestrator.specfile.durations import Duration

CONFIG_FILE = "config_file"
"""The one argument of `Settings` that is not a setting: the content of the config file."""

Secs = Annotated[float, Field(ge=0, allow_inf_nan=False), Duration()]
Deadline = Annotated[float, Field(gt=0, allow_inf_nan=False), Duration()]
Positive = Annotated[int, Field(gt=0)]
HIDDEN = frozenset({"token", "remote", *(f"{name}_below_spec" for name in BELOW_SPEC)})


class Settings(BaseSettings):
    """The settings of the program, which apply to all batches."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, case_sensitive=True, env_ignore_empty=True
    )

    token: SecretStr | None = Field(
        None,
        description="The API token. Without it, the one that `apify login` saved is used.",
    )
    api_base_url: str = Field(
        "https://api.apify.com", description="Address of the platform, with or without /v2."
    )
    output: Path = Field(
        Path("output"),
        description="The folder of all batches, or s3://, gs:// or az:// with bucket and prefix.",
    )
    remote: str | None = Field(
        None, exclude=True, description="The URL of `output`, which is then a folder."
    )
    ledger: LedgerUrl = Field(
        None,
        description="A PostgreSQL server for the ledgers of batches, instead of a file in the "
        "folder of each. A password belongs into PGPASSFILE, a service file or a variable.",
        examples=["postgresql://nightly@db.example.com/batches?schema=orchestrator"],
    )
    max_runs: Positive | None = Field(
        None,
        description="The most runs at once. A flag or variable wins over a spec, a config file "
        "does not. Default: the limit of the account.",
    )
    max_runs_below_spec: Positive | None = Field(
        None, exclude=True, description="`max_runs` of the config file; that of a spec wins."
    )
    metrics_file: Path | None = Field(
        None,
        description="A file for the node exporter's textfile collector, written during a batch and "
        "at its end.",
        examples=["/var/lib/node_exporter/nightly.prom"],
    )
    max_downloads: Positive = Field(32, description="How many runs to download at once.")
    schedule: str | None = Field(
        None,
        description="When a batch is due, for a spec that has no `schedule`: cron notation.",
        examples=["15 2 * * *"],
    )
    platform_away_secs: Secs = Field(
        3600.0, description="How long to wait for a platform that cannot be reached, in seconds."
    )
    breaker_probe_secs: Deadline = Field(
        60.0,
        description="When the first five runs of an Actor fail alike, its jobs pause. One job is "
        "tried after this time, in seconds, then after twice and four times this time.",
    )
    lock_wait_secs: Secs = Field(
        21600.0,
        description="How long `run --resume` waits for a live batch of an earlier occurrence, in "
        "seconds.",
    )
    held_is_success: bool = Field(
        False,
        description="Whether `run --resume` exits with 0 instead of 4 when another process works "
        "on the batch of the occurrence: for Kubernetes, which calls all else a failure.",
    )
    connect_timeout_secs: Deadline = Field(
        10.0, description="How long opening a connection may take, in seconds."
    )
    first_byte_timeout_secs: Deadline = Field(
        30.0,
        description="How long an answer may take to begin, beyond the wait in the request, in "
        "seconds.",
    )
    silence_timeout_secs: Deadline = Field(
        60.0, description="How long an answer may pause after it has begun, in seconds."
    )
    start_deadline_secs: Annotated[float, Field(ge=1, allow_inf_nan=False), Duration()] = Field(
        30.0,
        description="How long a start may take to have its effect, beyond the wait in the request, "
        "in seconds.",
    )
    settle_secs: Secs = Field(
        15.0,
        description="How much later a run may still appear in the platform's lists, in seconds.",
    )
    counts_settle_secs: Secs = Field(
        10.0,
        description="How long after a run's end the platform may still show too few of its items, "
        "in seconds. The download starts after that. Default with --local: 0.",
    )
    costs_settle_secs: Secs = Field(
        120.0,
        description="How long after a run's end the platform's figure of its cost may still "
        "change, in seconds.",
    )
    actors_path_prefix: Literal["acts", "actors"] = Field(
        "acts", description="The path of Actors in the API: acts, as in its reference, or actors."
    )
    notify_urls: NotifyUrls = Field(
        (),
        description="The Apprise URLs to notify, a list or text with spaces between them. A "
        "variable wins over `[notify]` of a spec, a config file does not.",
    )
    notify_urls_below_spec: NotifyUrls = Field(
        (), exclude=True, description="`notify_urls` of the config file; those of a spec win."
    )
    ping_url: PingUrl = Field(
        None,
        description="A dead-man's switch as healthchecks.io has it, by its URL. A variable wins "
        "over `[notify]` of a spec, a config file does not.",
        examples=["https://hc-ping.com/<uuid>"],
    )
    ping_url_below_spec: PingUrl = Field(
        None, exclude=True, description="`ping_url` of the config file; that of a spec wins."
    )
    notify_timeout_secs: Deadline = Field(
        10.0,
        description="How long notifications and pings at the end may take together, in seconds. "
        "After a signal: at most 3.",
    )
    trigger: Annotated[str, Field(max_length=40)] = Field(
        "",
        description="What starts this program, such as cron, for `list` and reports. Default: "
        "found from the environment, such as terminal, systemd or kubernetes.",
    )
    heartbeat_file: Path | None = Field(
        None,
        description="A file that `run` touches every 10 seconds, for liveness probes.",
        examples=["/run/heartbeat"],
    )
    log_format: Literal["auto", "text", "json"] = Field(
        "auto",
        description="What stderr gets: progress and warnings as text, or every event as JSON.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The lowest level to log."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - `Environment` replaces it
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - its token may belong to another program
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - not used
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then the environment, then the config file."""
        flags = dict(init_settings())
        file = flags.pop(CONFIG_FILE, {})
        return (
            InitSettingsSource(settings_cls, flags),
            Environment(settings_cls),
            ConfigFile(settings_cls, file),
        )

    @model_validator(mode="before")
    @classmethod
    def _keep_remote(cls, data: dict[str, Any]) -> dict[str, Any]:
        output = str(data.get("output", ""))
        if not REMOTE.fullmatch(output) or find_spec("obstore") is None:
            return data
        return {**data, "output": folder_of_remote(output), "remote": output.rstrip("/")}

    @field_validator("token", mode="before")
    @classmethod
    def _check_token(cls, value: object) -> object:
        return checked_token(value) if isinstance(value, str) else value

    @field_validator("schedule")
    @classmethod
    def _check_schedule(cls, value: str | None) -> str | None:
        if value is not None:
            check_schedule(value)
        return value

    @field_validator("output", mode="before")
    @classmethod
    def _refuse_url(cls, value: object) -> object:
        if not str(value).strip():
            raise ValueError("expected a folder")
        if REMOTE.fullmatch(str(value)):
            raise ValueError(f"an object store {not_installed(Extra.REMOTE)}")
        if "://" in str(value):
            raise ValueError(
                "expected a folder, or s3://, gs:// or az:// with a bucket and a prefix of "
                "letters, digits and ._=-"
            )
        return value

    @field_validator("output", "metrics_file", "heartbeat_file")
    @classmethod
    def _expand_home(cls, value: Path | None) -> Path | None:
        try:
            return None if value is None else value.expanduser()
        except RuntimeError as error:
            raise ValueError(f"there is no such home folder: {error}") from error

    def settles_after_secs(self, batch: Batch) -> float:
        """`counts_settle_secs` for a batch; 0 by default on the emulator, which counts at once."""
        is_given = "counts_settle_secs" in self.model_fields_set
        return self.counts_settle_secs if is_given or batch.plan.local is None else 0.0

    def require_token(self) -> SecretStr:
        """
        The token.

        Raises:
            ConfigError: no source has a token.
        """
        token = self.token or saved_token()
        if token is None:
            raise ConfigError(f"{NOT_LOGGED_IN}; --local needs none")
        return token


def load_settings(
    *, config: Path | None, flags: Mapping[str, object], flags_are_options: bool = True
) -> Settings:
    """
    The settings of this process.

    Args:
        config: the file given by `--config`; None to look in the working folder, then in the
            user's config folder.
        flags: what the call itself gives, by setting.
        flags_are_options: whether they are options of the command line.

    Raises:
        ConfigError: with every problem and its place.
    """
    # First, because relative paths of settings depend on the working folder.
    check_working_folder()
    path = config or find_config()
    file = {} if path is None else parse_config(path)
    problems = [] if path is None else _unknown_in(path, file)
    problems += _misspelt_variables()
    foreign = flags.keys() - Settings.model_fields
    problems += [unknown(name, file_names(), "setting") for name in sorted(foreign)]
    flags = {name: flags[name] for name in flags if name not in foreign}
    known = {name: value for name, value in file.items() if name in file_names()}
    try:
        settings = Settings(**{**flags, CONFIG_FILE: known})  # type: ignore[arg-type]  # by name
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            name = str(detail["loc"][0])
            origin = _origin(name, path)
            if name in flags:
                origin = f"--{name.replace('_', '-')}" if flags_are_options else name
            problems.append(f"{origin}: {plain(detail)}")
    if problems:
        raise ConfigError("\n".join(problems))
    return settings


def settings_of_urls() -> Settings:
    """Only the variables that say who is notified, where the other settings have mistakes."""
    found: dict[str, Any] = {}
    for name, read in (("notify_urls", secret_urls), ("ping_url", secret_url)):
        with suppress(ValueError):
            if value := os.environ.get(variable_of(name)):
                found[name] = read(value)
    return Settings.model_construct(**found)


def unknown_variables() -> list[str]:
    """The variables of the environment with our prefix that are not settings, in their order."""
    return unknown_variables_of(file_names())


def _misspelt_variables() -> list[str]:
    """An error for each variable that is one misspelling away from a setting."""
    right = {variable_of(name).removeprefix(PREFIX): variable_of(name) for name in file_names()}
    right |= {name.upper(): variable for name, variable in OWN_NAMES.items()}
    right |= {variable: variable for variable in OWN_NAMES.values()}
    messages = []
    for name in unknown_variables():
        short = name.removeprefix(PREFIX)
        meant = next((right[other] for other in right if is_one_slip(short, other)), None)
        if meant is not None:
            messages.append(f"environment variable {name} is not a setting; did you mean {meant}?")
    return messages


def _unknown_in(path: Path, data: Mapping[str, object]) -> list[str]:
    """An error for each name that a config file must not have."""
    known = file_names()
    messages = []
    for name in data:
        if name in known:
            continue
        sentence = unknown(name, known, "setting")
        if name.lower() in {"token", "apify_token"}:
            sentence = (
                "a config file must not hold a token, because files are copied: set APIFY_TOKEN"
            )
        messages.append(f"{place_in(path, name)}: {sentence}")
    return messages


def _origin(name: str, path: Path | None) -> str:
    """The variable or file that a value came from."""
    variable = variable_of(name)
    if os.environ.get(variable) or path is None:
        return f"environment variable {variable}"
    shown = name.removesuffix("_below_spec")
    return f"{place_in(path, shown)}: {shown}"


def file_names() -> list[str]:
    """The settings that a config file may have, in their order."""
    return [name for name in Settings.model_fields if name not in HIDDEN]


def example_config() -> str:
    """The text of `config.example.toml`: every setting with its default and meaning."""
    # Each one is a comment: a default that a file sets would not follow the program, or --local.
    lines = [
        "# Settings of orchestrator. Copy this file to config.toml; remove the # of what you set.",
        "# Flags and environment variables win over this file. It must not hold a token.",
    ]
    for name in file_names():
        field = Settings.model_fields[name]
        default = field.default
        if default is None:
            default = (field.examples or [8])[0]
        shown = json.dumps(str(default) if isinstance(default, Path) else default)
        lines += ["", f"# {field.description}", f"# Variable: {variable_of(name)}"]
        lines.append(f"# {name} = {shown}")
    return "\n".join(lines) + "\n"
