"""How a batch of the Python API is to run: the options of `orchestrator run`, for both ways in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypedDict, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, PositiveInt, SecretStr, ValidationError, create_model

from orchestrator.api.session import Session
from orchestrator.app.monitoring.metrics_setting import metrics_of
from orchestrator.app.notifications.announcement import announcing
from orchestrator.app.occurrences.spec_run import SpecRun
from orchestrator.app.setup.context import BatchContext
from orchestrator.app.setup.platform_connection import connector
from orchestrator.app.setup.settings import Settings, load_settings
from orchestrator.errors import UsageError
from orchestrator.ledger.location import configure as configure_ledgers
from orchestrator.model.selection import Choice, parse_selection
from orchestrator.safe_text import SECRETS, SHORTEST_TOKEN
from orchestrator.specfile import LoadedSpec
from orchestrator.specfile.diagnostics import show, unknown
from orchestrator.specfile.notify_urls import plan_of_table

CALLER = "python"
"""What started the batch, for `list` and reports."""


SETTINGS = {
    "token": "token",
    "base_url": "api_base_url",
    "output": "output",
    "ledger": "ledger",
    "max_runs": "max_runs",
}
"""The options that are settings, and the names of these."""


class BatchOptions(TypedDict, total=False):
    """
    The options of `orchestrator run`, by the same names; see docs/python.md.

    `token`, `base_url`, `output`, `ledger` and `settings` win over the environment and over
    `config.toml`. `settings` has any other setting by its name in `config.toml`. `abort_runs` is
    what `--on-signal abort` is for the command.
    """

    resume: bool
    accept_changes: bool
    occurrence: date | datetime
    concurrent: bool
    force: bool
    select: str
    exclude: str
    limit: PositiveInt
    local: bool
    actors: Sequence[str | PathLike[str]]
    abort_runs: bool
    max_runs: int
    output: str | PathLike[str]
    ledger: str
    token: str | SecretStr
    base_url: str
    config: str | PathLike[str]
    settings: Mapping[str, object]


class LimitsAndOptions(BatchOptions, total=False):
    """The fields of `[batch]` in a spec, for a batch without a spec, and its options."""

    max_memory_mbytes: int
    max_cost_usd: Decimal | float
    stop_after_failures: int | str
    deadline_secs: float
    on_unconfirmed: Literal["adopt", "fail", "restart"]
    max_jobs: int
    schedule: str
    timezone: str
    resume_within: str


LIMITS = LimitsAndOptions.__annotations__.keys() - BatchOptions.__annotations__.keys() | {
    "max_runs"
}


Given = TypeVar("Given", BatchOptions, LimitsAndOptions)


def checked_options(options: Given, kind: type[Given]) -> Given:
    """
    The options without those that are None.

    Raises:
        UsageError: an option is misspelt, or its value has another type.
    """
    known = kind.__annotations__
    problems = [unknown(name, known, "option") for name in options if name not in known]
    given: Any = {name: value for name, value in options.items() if value is not None}
    try:
        _model().model_validate(given)
    except ValidationError as error:
        wrong = dict.fromkeys(str(detail["loc"][0]) for detail in error.errors())
        problems += [
            f"{name}: expected {known[name].__forward_arg__}, found {show(given[name])}"
            for name in wrong
        ]
    if problems:
        raise UsageError("\n".join(f"Batch: {problem}" for problem in problems))
    return given  # type: ignore[no-any-return]


@cache
def _model() -> type[BaseModel]:
    """The options that are neither settings nor fields of a spec, which are checked as such."""
    fields: dict[str, Any] = {
        name: (hint, None)
        for name, hint in get_type_hints(BatchOptions, include_extras=True).items()
        if name not in SETTINGS
    }
    config = ConfigDict(strict=True, arbitrary_types_allowed=True)
    return create_model("Options", __config__=config, **fields)


def settings_of_options(options: BatchOptions) -> Settings:
    """
    The settings, in which what the program gives wins.

    Raises:
        ConfigError: with every problem.
    """
    given = dict(options.get("settings", {}))
    given |= {name: options[key] for key, name in SETTINGS.items() if key in options}  # type: ignore[literal-required]  # the names are those of the options
    config = options.get("config")
    path = None if config is None else Path(config)
    settings = load_settings(config=path, flags=given, flags_are_options=False)
    url = None if settings.ledger is None else settings.ledger.get_secret_value()
    # For the whole program, as for a command: a folder says by itself where its ledger is.
    configure_ledgers(url, settings.platform_away_secs)
    # A program may change its working folder, in contrast to a command.
    return settings.model_copy(update={"output": settings.output.absolute()})


def choice_of_options(options: BatchOptions) -> Choice:
    """
    The jobs of the spec that are selected.

    Raises:
        UsageError: a selection is not valid.
    """
    select, exclude = options.get("select"), options.get("exclude")
    for selection in (select, exclude):
        parse_selection(selection)
    return Choice(select=select, exclude=exclude, limit=options.get("limit"))


def spec_run_of(
    loaded: LoadedSpec, params: Mapping[str, str], options: BatchOptions, session: Session
) -> SpecRun:
    """
    The request to run a spec.

    Raises:
        ConfigError: a setting is wrong, or there is no token.
        UsageError: a selection is not valid.
    """
    settings = settings_of_options(options)
    is_local = options.get("local", False)
    if settings.token is not None:
        SECRETS.add(settings.token.get_secret_value(), shortest=SHORTEST_TOKEN)
    if not is_local:
        settings.require_token()
    context = BatchContext(
        settings=settings,
        connect=connector(settings),
        display=session,
        reporter=session,
        watcher=session,
        listening=session.stop.listening,
        sink=session.sink,
        abort_on_signal=options.get("abort_runs", False),
        force=options.get("force", False),
        waits_for_platform=options.get("resume", False),
        metrics=metrics_of(settings),
        command="run --resume" if options.get("resume") else "run",
        caller=settings.trigger or CALLER,
    )
    return SpecRun(
        loaded=loaded,
        context=announcing(context, plan_of_table(loaded.spec.notify)),
        params=params,
        choice=choice_of_options(options),
        named=options.get("occurrence"),
        is_local=is_local,
        actors=tuple(map(Path, options.get("actors", ()))),
        is_concurrent=options.get("concurrent", False),
        accepts_changes=options.get("accept_changes", False),
    )
