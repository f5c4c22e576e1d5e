"""
Settings: flags over environment over `config.toml` over defaults.

`APIFY_TOKEN` and `APIFY_API_BASE_URL` mean what they mean to Apify's own tools; every other setting
is `ORCHESTRATOR_<NAME>`. The token is taken from the environment, or from where `apify login` put
it, and from no config file.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from orchestrator.app.batch_folders import REMOTE, folder_of_remote
from orchestrator.errors import ConfigError
from orchestrator.model.batches import Batch
from orchestrator.specfile.diagnostics import is_one_slip, plain, unknown
from orchestrator.specfile.text.positions import Positions
from orchestrator.system_errors import error_of

Secs = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Deadline = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Positive = Annotated[int, Field(gt=0)]
CONFIG = "config.toml"
OWN_NAMES = {"token": "APIFY_TOKEN", "api_base_url": "APIFY_API_BASE_URL"}
HIDDEN = frozenset({"token", "max_runs_below_spec", "remote"})
PREFIX = "ORCHESTRATOR_"
OTHER_VARIABLES = frozenset({"ORCHESTRATOR_PLATFORM_TOKEN"})
"""Variables that are no settings, and mean something."""
INJECTED = re.compile(r".*(_SERVICE_HOST|_SERVICE_PORT.*|_PORT|_PORT_.*)")
"""What Kubernetes gives every container for a service whose name begins with `orchestrator`."""


class Settings(BaseModel):
    """How this program behaves, apart from any one batch."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: SecretStr | None = Field(
        None,
        description="The API token. Without it, the one that `apify login` saved is used.",
    )
    api_base_url: str = Field(
        "https://api.apify.com", description="Address of the platform, with or without /v2."
    )
    output: Path = Field(
        Path("output"),
        description="Folder that batches are written to, or s3://, gs:// or az:// with a bucket "
        "and a prefix.",
    )
    remote: str | None = Field(
        None, exclude=True, description="The URL that `output` was; it is a folder then."
    )
    max_runs: Positive | None = Field(
        None,
        description="Runs at once. Flag and variable win over a spec, a config file does not. "
        "Unset: what the account allows.",
    )
    max_runs_below_spec: Positive | None = Field(
        None, exclude=True, description="`max_runs` of the config file, which a spec is above."
    )
    max_downloads: Positive = Field(32, description="Runs whose results are fetched at once.")
    platform_away_secs: Secs = Field(
        3600.0, description="How long a platform that is away is waited for, in seconds."
    )
    breaker_probe_secs: Deadline = Field(
        60.0,
        description="After how long one job of an Actor is tried whose first five runs failed "
        "alike, in seconds; then after twice and four times that.",
    )
    lock_wait_secs: Secs = Field(
        21600.0,
        description="How long `run --resume` waits for a live batch of an earlier occurrence, in "
        "seconds.",
    )
    connect_timeout_secs: Deadline = Field(
        10.0, description="How long a connection may take to be made, in seconds."
    )
    first_byte_timeout_secs: Deadline = Field(
        30.0,
        description="How long an answer may take to begin, beyond the wait that was asked for, in "
        "seconds.",
    )
    silence_timeout_secs: Deadline = Field(
        60.0, description="How long an answer that has begun may pause, in seconds."
    )
    start_deadline_secs: Annotated[float, Field(ge=1, allow_inf_nan=False)] = Field(
        30.0,
        description="How long a start may take to have its effect, beyond the wait that it asked "
        "for, in seconds.",
    )
    settle_secs: Secs = Field(
        15.0,
        description="How much later a run may still turn up in the platform's lists, in seconds.",
    )
    counts_settle_secs: Secs = Field(
        10.0,
        description="How long after a run's end the platform may still show too few of its items, "
        "in seconds. Its results are downloaded after that. With --local: 0 unless it is set.",
    )
    costs_settle_secs: Secs = Field(
        120.0,
        description="How long after the end of a run the platform's figure of its cost is final, "
        "in seconds.",
    )
    actors_path_prefix: Literal["acts", "actors"] = Field(
        "acts", description="Path of Actors in the API: acts as in its reference, or actors."
    )
    log_format: Literal["auto", "text", "json"] = Field(
        "auto", description="What stderr gets: progress and warnings, or every event as JSON."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The lowest level that is logged."
    )

    @model_validator(mode="before")
    @classmethod
    def _keep_remote(cls, data: dict[str, Any]) -> dict[str, Any]:
        output = str(data.get("output", ""))
        if not REMOTE.fullmatch(output) or find_spec("obstore") is None:
            return data
        return {**data, "output": folder_of_remote(output), "remote": output.rstrip("/")}

    @field_validator("output", mode="before")
    @classmethod
    def _refuse_url(cls, value: object) -> object:
        if not str(value).strip():
            raise ValueError("expected a folder")
        if REMOTE.fullmatch(str(value)):
            raise ValueError(
                "an object store needs a library that is not installed: "
                "pip install 'orchestrator[remote]'"
            )
        if "://" in str(value):
            raise ValueError(
                "expected a folder, or s3://, gs:// or az:// with a bucket and a prefix of "
                "letters, digits and ._=-"
            )
        return value

    @field_validator("output")
    @classmethod
    def _expand_home(cls, value: Path) -> Path:
        try:
            return value.expanduser()
        except RuntimeError as error:
            raise ValueError(f"there is no such home folder: {error}") from error

    def settles_after_secs(self, batch: Batch) -> float:
        """`counts_settle_secs` for a batch: the emulator counts at once."""
        is_given = "counts_settle_secs" in self.model_fields_set
        return self.counts_settle_secs if is_given or batch.plan.local is None else 0.0

    def require_token(self) -> SecretStr:
        """
        The token.

        Raises:
            ConfigError: there is none anywhere.
        """
        token = self.token or saved_token()
        if token is None:
            raise ConfigError(
                "there is no API token: set APIFY_TOKEN (Apify Console, Settings, API & "
                "Integrations), or run `apify login`; --local needs none"
            )
        return token


def load_settings(*, config: Path | None, flags: Mapping[str, object]) -> Settings:
    """
    The settings of this process.

    Args:
        config: the file given by `--config`; None to look in the working folder, then in the
            user's config folder.
        flags: those that were given, by setting.

    Raises:
        ConfigError: with every problem and where it is.
    """
    path = config or _find_config()
    file = {} if path is None else _parse_config(path)
    problems = [] if path is None else _unknown_in(path, file)
    if "max_runs" in file:
        file["max_runs_below_spec"] = file.pop("max_runs")
    known = {name: value for name, value in file.items() if name in Settings.model_fields}
    problems += _misspelt_variables()
    settings = None
    try:
        token = _token_of(os.environ.get("APIFY_TOKEN", ""), "environment variable APIFY_TOKEN")
    except ConfigError as error:
        problems.append(str(error))
        token = None
    try:
        given = {**known, **_from_environment(), **flags, "token": token}
        settings = Settings.model_validate(given)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            name = str(detail["loc"][0])
            problems.append(f"{_origin(name, flags, known, path)}: {plain(detail)}")
    if settings is None or problems:
        raise ConfigError("\n".join(problems))
    return settings


def _from_environment() -> dict[str, str]:
    """The settings that variables give; an empty one gives none."""
    return {name: value for name in file_names() if (value := os.environ.get(_variable(name)))}


def unknown_variables() -> list[str]:
    """The variables of the environment that look like settings and are none, in their order."""
    known = {_variable(name) for name in file_names()} | OTHER_VARIABLES
    return sorted(
        name
        for name, value in os.environ.items()
        if name.startswith(PREFIX) and value and name not in known and not INJECTED.fullmatch(name)
    )


def _misspelt_variables() -> list[str]:
    """What is said of variables that are one misspelling away from a setting."""
    right = {_variable(name).removeprefix(PREFIX): _variable(name) for name in file_names()}
    right |= {name.upper(): variable for name, variable in OWN_NAMES.items()}
    right |= {variable: variable for variable in OWN_NAMES.values()}
    said = []
    for name in unknown_variables():
        short = name.removeprefix(PREFIX)
        meant = next((right[other] for other in right if is_one_slip(short, other)), None)
        if meant is not None:
            said.append(f"environment variable {name} is not a setting; did you mean {meant}?")
    return said


def _token_of(text: str, origin: str) -> SecretStr | None:
    """
    A token without the line break that a file may have put at its end; None for an empty text.

    Raises:
        ConfigError: it has characters that no token has; none of it is shown.
    """
    token = text.rstrip("\r\n")
    if text and not re.fullmatch(r"[!-~]+", token):
        raise ConfigError(
            f"{origin}: a token has letters, digits and punctuation only, and no spaces or line "
            "breaks; copy it again"
        )
    return SecretStr(token) if token else None


def _variable(name: str) -> str:
    return OWN_NAMES.get(name, f"ORCHESTRATOR_{name.upper()}")


def saved_token() -> SecretStr | None:
    """
    The token that `apify login` saved; None when there is none in a file.

    Raises:
        ConfigError: it cannot be read, or is in the system's keyring, which only Apify's own tool
            reads.
    """
    home = _home()
    if home is None:
        return None
    path = home / ".apify" / "auth.json"
    advice = "log in again with `apify login`, or set APIFY_TOKEN"
    try:
        saved = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise error_of(error, path, "read", otherwise=ConfigError, advice=advice) from error
    except ValueError as error:
        raise ConfigError(f"{path}: is not valid JSON: {advice}") from error
    token = saved.get("token") if isinstance(saved, dict) else ""
    if token is None and saved.get("secretsBackend") == "keyring":
        raise ConfigError(
            "the token of `apify login` is in the system's keyring, which is not read here: set "
            "APIFY_TOKEN, or log in again with APIFY_DISABLE_KEYRING=1"
        )
    if token is None:
        return None
    if not isinstance(token, str) or not token:
        raise ConfigError(f"{path}: there is no token in it: {advice}")
    return _token_of(token, str(path))


def _home() -> Path | None:
    """The user's home folder; None for a user who has none."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def example_config() -> str:
    """The text of `config.example.toml`: every setting with its default and meaning."""
    lines = [
        "# Settings of orchestrator. Copy this file to config.toml and change what you need.",
        "# Flags and environment variables win over it. A token does not belong in here.",
    ]
    for name in file_names():
        field = Settings.model_fields[name]
        lines += ["", f"# {field.description}", f"# Variable: {_variable(name)}"]
        default = field.default
        shown = json.dumps(str(default) if isinstance(default, Path) else default)
        lines.append(f"# {name} = 8" if default is None else f"{name} = {shown}")
    return "\n".join(lines) + "\n"


def file_names() -> list[str]:
    """The settings that a config file may have, in their order."""
    return [name for name in Settings.model_fields if name not in HIDDEN]


def _find_config() -> Path | None:
    home = _home()
    folder = os.environ.get("XDG_CONFIG_HOME") or (home and home / ".config")
    for path in (Path(CONFIG), folder and Path(folder) / "orchestrator" / CONFIG):
        try:
            if path and path.is_file():
                return path
        except OSError as error:
            advice = "mend that, or name a file with --config"
            raise error_of(error, path, "read", otherwise=ConfigError, advice=advice) from error
    return None


def _parse_config(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        advice = "name another file with --config"
        raise error_of(error, path, "read", otherwise=ConfigError, advice=advice) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from error


def _unknown_in(path: Path, data: dict[str, Any]) -> list[str]:
    """What is told of the names that a config file must not have."""
    known = file_names()
    told = []
    for name in data:
        if name in known:
            continue
        sentence = unknown(name, known, "setting")
        if name.lower() in {"token", "apify_token"}:
            sentence = "a token does not belong in a file that is copied about: set APIFY_TOKEN"
        told.append(f"{_place(path, name)}: {sentence}")
    return told


def _place(path: Path, name: str) -> str:
    line, _ = Positions(path.read_text("utf-8-sig")).find((name,))
    return str(path) if line is None else f"{path}:{line}"


def _origin(
    name: str, flags: Mapping[str, object], file: Mapping[str, object], path: Path | None
) -> str:
    """Where a value came from, as a user would look for it."""
    if name in flags:
        return f"--{name.replace('_', '-')}"
    variable = _variable(name)
    if os.environ.get(variable):
        return f"environment variable {variable}"
    shown = name.removesuffix("_below_spec")
    return f"{_place(path, shown)}: {shown}" if path is not None and name in file else shown
