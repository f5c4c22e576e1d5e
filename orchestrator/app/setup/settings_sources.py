"""Where settings come from: the variables of the environment, and a TOML file."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, InitSettingsSource

from orchestrator.api_token import home_folder
from orchestrator.errors import ConfigError
from orchestrator.specfile.text.positions import Positions
from orchestrator.system_errors import error_of

CONFIG = "config.toml"
PREFIX = "ORCHESTRATOR_"
OWN_NAMES = {"token": "APIFY_TOKEN", "api_base_url": "APIFY_API_BASE_URL"}
"""Settings whose variables have the names that Apify's own tools use."""

UI_TOKEN = "ORCHESTRATOR_UI_TOKEN"  # noqa: S105 - a name
SHARD, SHARDS = "ORCHESTRATOR_SHARD", "ORCHESTRATOR_SHARDS"
JOB_NAME = "ORCHESTRATOR_JOB_NAME"
OTHER_VARIABLES = frozenset({UI_TOKEN, "ORCHESTRATOR_PLATFORM_TOKEN", SHARD, SHARDS, JOB_NAME})
"""Variables with our prefix that are not settings, and have a meaning."""

INJECTED = re.compile(r".*(_SERVICE_HOST|_SERVICE_PORT.*|_PORT|_PORT_.*)")
"""What Kubernetes sets in every container for a service whose name begins with `orchestrator`."""


BELOW_SPEC = ("max_runs", "notify_urls", "ping_url")
"""Settings of which a spec has its own: it wins over a config file, and a variable over it."""


class Environment(EnvSettingsSource):
    """
    The variables of the environment, spelt exactly; an empty one has no effect.

    pydantic-settings would put the prefix before the name of a field in lower case.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The text of a setting's variable, if it has one."""
        is_hidden = field.exclude is True
        name = self._apply_case_sensitive(variable_of(field_name))
        return None if is_hidden else self.env_vars.get(name), field_name, False


class ConfigFile(InitSettingsSource):
    """
    The settings of a config file, parsed.

    Of a setting in `BELOW_SPEC`, its value is a setting of its own: a spec wins over it, and a flag
    or a variable wins over the spec.
    """

    def __init__(self, settings_cls: type[BaseSettings], file: Mapping[str, Any]) -> None:
        values = dict(file)
        for name in BELOW_SPEC:
            if name in values:
                values[f"{name}_below_spec"] = values.pop(name)
        super().__init__(settings_cls, values)


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return OWN_NAMES.get(name, f"{PREFIX}{name.upper()}")


def unknown_variables_of(known: Collection[str]) -> list[str]:
    """The variables with our prefix that are not settings, in their order."""
    right = {variable_of(name) for name in known} | OTHER_VARIABLES
    return sorted(
        name
        for name, value in os.environ.items()
        if name.startswith(PREFIX) and value and name not in right and not INJECTED.fullmatch(name)
    )


def check_working_folder() -> None:
    """
    Refuses a working folder that is deleted, or whose path is not text.

    Raises:
        ConfigError.
    """
    try:
        str(Path.cwd()).encode()
    except FileNotFoundError as error:
        raise ConfigError("the working folder was deleted: change to another one") from error
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"the path of the working folder, {str(Path.cwd())!r}, is not UTF-8 text: rename it, "
            "or change to another one"
        ) from error


def find_config() -> Path | None:
    """
    The config file of the working folder, or the user's own; None if there is none.

    Raises:
        ConfigError: the system does not say whether there is one.
    """
    home = home_folder()
    folder = os.environ.get("XDG_CONFIG_HOME") or (home and home / ".config")
    for path in (Path(CONFIG), folder and Path(folder) / "orchestrator" / CONFIG):
        try:
            if path and path.is_file():
                return path
        except OSError as error:
            advice = "correct its permissions, or name a file with --config"
            raise error_of(error, path, "read", otherwise=ConfigError, advice=advice) from error
    return None


def parse_config(path: Path) -> dict[str, Any]:
    """
    The table of a config file.

    Raises:
        ConfigError: it cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        advice = "name another file with --config"
        raise error_of(error, path, "read", otherwise=ConfigError, advice=advice) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from error


def place_in(path: Path, name: str) -> str:
    """The file and the line that give a setting."""
    line, _ = Positions(path.read_text("utf-8-sig")).find((name,))
    return str(path) if line is None else f"{path}:{line}"
