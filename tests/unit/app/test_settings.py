from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path

import pytest

from orchestrator.app.setup.settings import (
    Settings,
    example_config,
    file_names,
    load_settings,
    unknown_variables,
)
from orchestrator.errors import ConfigError

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _no_settings_of_the_tester(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The home and the working folder have no settings."""
    ours = [name for name in os.environ if name.startswith("ORCHESTRATOR_")]
    for name in ("APIFY_TOKEN", "APIFY_API_BASE_URL", "XDG_CONFIG_HOME", *ours):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def load(**flags: object) -> Settings:
    return load_settings(config=None, flags=flags)


def test_time_may_be_a_text_as_in_a_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The words about a wrong time name such a text, so it is taken."""
    (tmp_path / "config.toml").write_text('settle_secs = "1.5m"\n')
    monkeypatch.setenv("ORCHESTRATOR_PLATFORM_AWAY_SECS", "10m")
    settings = load_settings(config=None, flags={"lock_wait_secs": "2h"})
    times = (settings.settle_secs, settings.platform_away_secs, settings.lock_wait_secs)
    assert times == (90, 600, 7200)


def test_flag_wins_over_environment_and_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The order is: flags, the environment, the config file, defaults."""
    (tmp_path / "config.toml").write_text('max_downloads = 3\nlog_level = "debug"\noutput = "f"\n')
    monkeypatch.setenv("ORCHESTRATOR_LOG_LEVEL", "error")
    monkeypatch.setenv("ORCHESTRATOR_OUTPUT", "e")
    settings = load(output="flag")
    assert str(settings.output) == "flag"
    assert settings.log_level == "error"
    assert settings.max_downloads == 3
    assert settings.settle_secs == 15.0


def test_spec_wins_over_max_runs_of_a_file(tmp_path: Path) -> None:
    """The order is: the environment, the spec, the config file."""
    (tmp_path / "config.toml").write_text("max_runs = 5\n")
    settings = load()
    assert (settings.max_runs, settings.max_runs_below_spec) == (None, 5)


def test_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty environment variable is not a value."""
    monkeypatch.setenv("ORCHESTRATOR_MAX_RUNS", "")
    assert load().max_runs is None


def test_every_problem_is_reported_with_its_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    """All wrong values are reported together, each with its origin."""
    monkeypatch.setenv("ORCHESTRATOR_LOG_FORMAT", "loud")
    monkeypatch.setenv("ORCHESTRATOR_MAX_DOWNLOADS", "many")
    monkeypatch.setenv("ORCHESTRATOR_HELD_IS_SUCCESS", "maybe")
    with pytest.raises(ConfigError) as caught:
        load(max_runs=0)
    assert str(caught.value).splitlines() == [
        "--max-runs: must be greater than 0, found 0",
        'environment variable ORCHESTRATOR_MAX_DOWNLOADS: expected a whole number, found "many"',
        'environment variable ORCHESTRATOR_HELD_IS_SUCCESS: expected true or false, found "maybe"',
        (
            'environment variable ORCHESTRATOR_LOG_FORMAT: expected "auto", "text" or "json", '
            'found "loud"'
        ),
    ]


def test_wrong_setting_of_a_file_is_reported_beside_a_flag(tmp_path: Path) -> None:
    """A wrong `max_runs` of the config file is reported with its line, even beside a valid flag."""
    (tmp_path / "config.toml").write_text("max_runs = 0\n")
    with pytest.raises(ConfigError) as caught:
        load(max_runs=3)
    assert str(caught.value) == "config.toml:1: max_runs: must be greater than 0, found 0"


@pytest.mark.parametrize("name", ["apify_token", "output", "max_runs", "ORCHESTRATOR_REMOTE"])
def test_variable_counts_only_in_its_exact_spelling(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A lower-case variable of another program with the name of a field changes nothing."""
    before = load()
    monkeypatch.setenv(name, "7")
    assert load() == before


def test_unknown_setting_is_reported_with_the_nearest_name(tmp_path: Path) -> None:
    """A misspelt setting is an error with the file, the line and the nearest name."""
    (tmp_path / "config.toml").write_text("\nsettle_sec = 3\n")
    with pytest.raises(ConfigError) as caught:
        load()
    assert str(caught.value) == (
        "config.toml:2: unknown setting 'settle_sec'; did you mean 'settle_secs'?"
    )


def test_problems_of_a_file_are_reported_together(tmp_path: Path) -> None:
    """The error for a config file lists all its problems, each with its line."""
    text = "max_run = 1\nmax_runs = 0\nsettle_secs = -1\nconnect_timeout_secs = nan\n"
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load()
    assert str(caught.value).splitlines() == [
        "config.toml:1: unknown setting 'max_run'; did you mean 'max_runs'?",
        "config.toml:2: max_runs: must be greater than 0, found 0",
        "config.toml:4: connect_timeout_secs: must be a finite number, found nan",
        "config.toml:3: settle_secs: must be at least 0.0, found -1",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"max_runs =", "config.toml: is not valid TOML: Invalid value (at end of document)"),
        (b"\xff", "config.toml: is not UTF-8 text"),
    ],
    ids=["syntax", "encoding"],
)
def test_unreadable_config_is_an_error(tmp_path: Path, content: bytes, said: str) -> None:
    """A config file that is not TOML is an error with the reason."""
    (tmp_path / "config.toml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load()
    assert str(caught.value) == said


def test_named_config_must_exist() -> None:
    """A file from --config that is missing is an error."""
    with pytest.raises(ConfigError, match=r"mine\.toml: cannot be read \(No such file"):
        load_settings(config=Path("mine.toml"), flags={})


def test_config_of_the_user_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a config file in the working folder, the user's own file counts."""
    (tmp_path / "conf" / "orchestrator").mkdir(parents=True)
    (tmp_path / "conf" / "orchestrator" / "config.toml").write_text("max_downloads = 2\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "conf"))
    assert load().max_downloads == 2


def test_token_in_a_file_is_refused(tmp_path: Path) -> None:
    """A token in a config file is refused, and the message does not repeat it."""
    (tmp_path / "config.toml").write_text('token = "apify_api_hush"\n')
    with pytest.raises(ConfigError, match="set APIFY_TOKEN") as caught:
        load()
    assert "hush" not in str(caught.value)


def test_token_of_a_login_is_used(tmp_path: Path) -> None:
    """Without a variable, the token that Apify's own tool saved is used."""
    (tmp_path / ".apify").mkdir()
    (tmp_path / ".apify" / "auth.json").write_text(json.dumps({"token": "apify_api_saved"}))
    token = load().require_token()
    assert token.get_secret_value() == "apify_api_saved"
    assert "saved" not in repr(token)


def test_token_in_a_keyring_is_an_error(tmp_path: Path) -> None:
    """The error for a login that keeps its token elsewhere says what to do."""
    (tmp_path / ".apify").mkdir()
    (tmp_path / ".apify" / "auth.json").write_text(json.dumps({"secretsBackend": "keyring"}))
    with pytest.raises(ConfigError, match="keyring"):
        load().require_token()


def test_example_config_is_current() -> None:
    """`config.example.toml` lists every setting with its default."""
    text = (ROOT / "config.example.toml").read_text()
    assert text == example_config(), "run make example-config"
    every = re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)
    assert set(tomllib.loads(every)) == set(file_names())


def test_example_config_is_valid(tmp_path: Path) -> None:
    """The example is valid, and sets nothing: a default such as that of --local stays."""
    (tmp_path / "config.toml").write_text(example_config())
    assert load().model_fields_set == set()
    every = re.sub(r"^# (\w+ = )", r"\1", example_config(), flags=re.MULTILINE)
    (tmp_path / "config.toml").write_text(every)
    assert load().counts_settle_secs == Settings().counts_settle_secs


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ORCHESTRATOR_MAXRUNS", "ORCHESTRATOR_MAX_RUNS"),
        ("ORCHESTRATOR_MAX_RUN", "ORCHESTRATOR_MAX_RUNS"),
        ("ORCHESTRATOR_MAX_RUNSS", "ORCHESTRATOR_MAX_RUNS"),
        ("ORCHESTRATOR_LOG_LEVLE", "ORCHESTRATOR_LOG_LEVEL"),
        ("ORCHESTRATOR_OUTPOT", "ORCHESTRATOR_OUTPUT"),
        ("ORCHESTRATOR_max_runs", "ORCHESTRATOR_MAX_RUNS"),
        ("ORCHESTRATOR_TOKEN", "APIFY_TOKEN"),
        ("ORCHESTRATOR_API_BASE_URL", "APIFY_API_BASE_URL"),
    ],
)
def test_misspelt_variable_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    """A limit whose variable has one misspelling is an error, not ignored silently."""
    monkeypatch.setenv(name, "3")
    with pytest.raises(ConfigError) as caught:
        load()
    said = f"environment variable {name} is not a setting; did you mean {meant}?"
    assert str(caught.value) == said


@pytest.mark.parametrize(
    "name",
    [
        "ORCHESTRATOR_SERVICE_HOST",
        "ORCHESTRATOR_SERVICE_PORT",
        "ORCHESTRATOR_SERVICE_PORT_HTTP",
        "ORCHESTRATOR_PORT",
        "ORCHESTRATOR_PORT_80_TCP_ADDR",
        "ORCHESTRATOR_UI_SERVICE_HOST",
        "ORCHESTRATOR_PLATFORM_TOKEN",
    ],
)
def test_variable_of_kubernetes_is_ignored(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Kubernetes injects variables for a service of our name; they cause no message."""
    monkeypatch.setenv(name, "tcp://10.0.0.1:80")
    assert load().max_runs is None
    assert unknown_variables() == []


def test_unknown_variable_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable with our prefix that resembles no setting is listed as ignored."""
    monkeypatch.setenv("ORCHESTRATOR_COLOUR", "red")
    load()
    assert unknown_variables() == ["ORCHESTRATOR_COLOUR"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_break_at_the_end_of_a_token_is_stripped(
    monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """A line break at the end of a file is not part of the token."""
    monkeypatch.setenv("APIFY_TOKEN", f"apify_api_abc{end}")
    assert load().require_token().get_secret_value() == "apify_api_abc"


@pytest.mark.parametrize("token", ["a\nb", "tok en", "tokén", "\n"])
def test_invalid_token_is_refused(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    """A token with a space or a line break is an error that names its source, not its value."""
    monkeypatch.setenv("APIFY_TOKEN", token)
    with pytest.raises(
        ConfigError, match="environment variable APIFY_TOKEN: a token has"
    ) as caught:
        load()
    assert token not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not json", "is not valid JSON"),
        ("[]", "there is no token in it"),
        ('{"token": 7}', "there is no token in it"),
        ('{"token": ""}', "there is no token in it"),
    ],
)
def test_damaged_saved_token_is_an_error(tmp_path: Path, content: str, said: str) -> None:
    """A damaged auth.json is an error; it does not count as missing."""
    (tmp_path / ".apify").mkdir()
    (tmp_path / ".apify" / "auth.json").write_text(content)
    with pytest.raises(ConfigError, match=rf"auth\.json: {said}: log in again"):
        load().require_token()


def test_saved_token_that_is_a_folder_is_an_error(tmp_path: Path) -> None:
    """An auth.json that the system does not let us read is an error with the system's reason."""
    (tmp_path / ".apify" / "auth.json").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"auth\.json: cannot be read \(Is a directory\): log in"):
        load().require_token()


def test_saved_token_may_be_missing() -> None:
    """Without an auth.json, the message says how to set a token."""
    with pytest.raises(ConfigError, match="there is no API token: set APIFY_TOKEN"):
        load().require_token()


@pytest.mark.parametrize("output", ["", " ", "~nobody-of-this-name/x"])
def test_empty_output_is_refused(output: str) -> None:
    """An empty --output, from an unset variable of a script, is not the working folder."""
    with pytest.raises(ConfigError, match="--output: "):
        load(output=output)
