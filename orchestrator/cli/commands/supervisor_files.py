"""`orchestrator schedule`: prints what starts a spec on its schedule."""

from __future__ import annotations

import argparse
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.app.occurrences.schedules import schedule_of
from orchestrator.app.setup.settings import Settings
from orchestrator.app.setup.settings_sources import (
    PREFIX,
    SHARD,
    SHARDS,
    find_config,
    parse_config,
    variable_of,
)
from orchestrator.app.supervisors.airflow_dag import MOVES_GAPS, airflow_dag
from orchestrator.app.supervisors.crontab import crontab
from orchestrator.app.supervisors.installation import (
    Installation,
    gap_words,
    jitter_of,
    refuse_odd_paths,
)
from orchestrator.app.supervisors.kubernetes_manifest import (
    SKIPS_GAPS,
    SPEC_FOLDER,
    kubernetes_manifest,
)
from orchestrator.app.supervisors.spec_files import files_of
from orchestrator.app.supervisors.systemd_units import systemd_units
from orchestrator.cli.command_settings import choice_of, settings_of
from orchestrator.errors import OutputLost, OutputNotWritable, UsageError
from orchestrator.ledger.postgres.address import parse_address
from orchestrator.model.schedule import expand as expand_cron
from orchestrator.specfile import LoadedSpec, expand, load_spec
from orchestrator.specfile.sweep.matrix import data_of
from orchestrator.store.disk_writes import write_file
from orchestrator.version import __version__

KUBERNETES, AIRFLOW = "kubernetes", "airflow"
PLACES_SHARDS = (KUBERNETES, AIRFLOW)
LEDGER_URL = "ORCHESTRATOR_LEDGER"
STEPS_SINCE = 254
SCHEDULE = "ORCHESTRATOR_SCHEDULE"
OFFERED = ("APIFY_API_BASE_URL", "HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR")
GAPS = {KUBERNETES: SKIPS_GAPS, AIRFLOW: MOVES_GAPS}
"""What a supervisor does at times that the clock skips, if that needs a warning."""
CACHES = (".cache", "uv-cache", "_npx")


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    settings = settings_of(options)
    if str(options.spec) == "-":
        raise UsageError("the spec must be a file, because the command is started again and again")
    loaded = load_spec(options.spec)
    if any(one.file == "-" for table in loaded.spec.jobs for one in data_of(table.matrix)):
        raise UsageError(
            f"{loaded.path} reads standard input, which {options.supervisor} does not give to the "
            "command: name a file"
        )
    installation = _installation(loaded, settings, options)
    files = _files(installation, loaded, options)
    if options.to is not None:
        _write(files, options.to)
    elif options.json:
        print(json.dumps({"files": files}))
    else:
        print("\n".join(_shown(path, text, len(files)) for path, text in files.items()), end="")
    _warn(installation, options.supervisor)
    _warn_of_mistakes(loaded, installation, settings, options)
    return 0


def _files(
    installation: Installation, loaded: LoadedSpec, options: argparse.Namespace
) -> dict[str, str]:
    """The texts to install, by the names of their files."""
    name = f"orchestrator-{installation.slug}"
    match options.supervisor:
        case "cron":
            return {f"{name}.crontab": crontab(installation)}
        case "systemd":
            user = pwd.getpwuid(os.getuid()).pw_name
            return systemd_units(installation, user, backs_off=_systemd_backs_off())
        case "airflow":
            return {f"{name}.py": airflow_dag(installation)}
        case _:
            files = files_of(loaded)
            config = options.config or find_config()
            if config is not None:
                _refuse_secrets(config)
                files["config.toml"] = config.read_text("utf-8-sig")
            image = options.image or f"orchestrator:{__version__}"
            return {f"{name}.yaml": kubernetes_manifest(installation, image=image, files=files)}


def _installation(
    loaded: LoadedSpec, settings: Settings, options: argparse.Namespace
) -> Installation:
    spec = loaded.spec.batch
    if spec.schedule is None and options.at is None:
        raise UsageError(
            f"{loaded.path} has no schedule: set `schedule` in [batch], for example "
            'schedule = "15 2 * * *", or give --at "15 2 * * *"'
        )
    if spec.schedule and options.at and expand_cron(spec.schedule) != expand_cron(options.at):
        raise UsageError(
            f"{loaded.path} has the schedule {spec.schedule!r}, and --at says {options.at!r}: "
            "leave out --at, or change the spec"
        )
    now = datetime.now(UTC)
    schedule = schedule_of(spec, options.at)
    zone = getattr(schedule.zone, "key", None)
    variables = {} if options.at is None else {SCHEDULE: options.at}
    if spec.timezone is None and zone is not None:
        # The command must find the same zone wherever it runs, also if the machine's is changed.
        variables["TZ"] = zone
    is_container = options.supervisor == KUBERNETES
    path = Path(SPEC_FOLDER) / loaded.path.name if is_container else loaded.path.absolute()
    _refuse_options(options)
    installation = Installation(
        name=spec.name,
        schedule=schedule,
        zone_name=zone,
        command=_command(),
        run_options=_run_options(settings, options),
        spec=path,
        folder=Path.cwd(),
        variables=variables,
        environment_file=options.env_file or _environment_file(spec.name),
        needs=_needs(loaded, settings, options),
        offers=_offers(),
        jitter_secs=jitter_of(schedule, now, options.jitter),
        now=now,
        shards=options.shards,
        is_remote=settings.remote is not None,
        catch_up_from=options.catch_up,
    )
    refuse_odd_paths([*installation.call, installation.folder, installation.environment_file])
    return installation


def _refuse_options(options: argparse.Namespace) -> None:
    """
    Refuses options that the supervisor cannot follow, and shards that cannot share a batch.

    Raises:
        UsageError.
    """
    if options.catch_up is not None and options.supervisor != AIRFLOW:
        raise UsageError(
            f"--catch-up: {options.supervisor} starts no batch that it missed: use "
            "`orchestrator run --dates A..B`"
        )
    if options.image is not None and options.supervisor != KUBERNETES:
        raise UsageError(f"--image: {options.supervisor} starts the command itself; leave it out")
    if options.env_file is not None and options.supervisor == KUBERNETES:
        raise UsageError("--env-file: pods get the variables from a Secret; leave it out")
    if options.shards is None:
        return
    if options.supervisor not in PLACES_SHARDS:
        raise UsageError(
            f"--shards: {options.supervisor} starts processes on one machine only: call schedule "
            f"without --shards on each machine, and set {SHARD}=K/N in its environment file"
        )
    if options.local:
        raise UsageError("--shards: other machines cannot reach the platform of --local")


def _needs(loaded: LoadedSpec, settings: Settings, options: argparse.Namespace) -> list[str]:
    """The variables that must be set for the command, without their values."""
    config = options.config or find_config()
    in_config = config is not None and "ledger" in parse_config(config)
    has_server = options.shards is not None or settings.ledger is not None
    return [
        *([] if options.local else ["APIFY_TOKEN"]),
        *([LEDGER_URL] if has_server and not in_config else []),
        *loaded.variables,
    ]


def _refuse_secrets(config: Path) -> None:
    """
    Refuses a config file with secrets, because everybody may read a ConfigMap.

    Raises:
        UsageError.
    """
    values = parse_config(config)
    found = [name for name in ("notify_urls", "ping_url") if values.get(name)]
    ledger = str(values.get("ledger", ""))
    if ledger and parse_address(ledger).has_password:
        found.append("ledger")
    if found:
        names = ", ".join(found)
        variables = ", ".join(variable_of(name) for name in found)
        raise UsageError(
            f"{config}: {names}: a ConfigMap is no place for secrets: remove that from the file, "
            f"and set {variables} in the Secret"
        )


def _command() -> list[str]:
    """The command as the supervisor starts it: by its absolute path."""
    # Not resolved: the interpreter of a virtual environment is a link.
    beside = Path(sys.executable).with_name("orchestrator")
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "orchestrator"]


def _systemd_backs_off() -> bool:
    """Whether the systemd of this machine knows `RestartSteps`, which older ones warn of."""
    program = shutil.which("systemctl")
    if program is None:
        return False
    done = subprocess.run(  # noqa: S603 - a program of the system, without arguments of the user
        [program, "--version"], capture_output=True, text=True, check=False
    )
    version = re.match(r"systemd (\d+)", done.stdout)
    return version is not None and int(version[1]) >= STEPS_SINCE


def _run_options(settings: Settings, options: argparse.Namespace) -> list[str]:
    """The options of `run`, with absolute paths."""
    is_container = options.supervisor == KUBERNETES
    output = settings.remote or ("output" if is_container else str(settings.output.absolute()))
    words = ["--output", output]
    config = options.config or find_config()
    if config is not None:
        words += [
            "--config",
            f"{SPEC_FOLDER}/config.toml" if is_container else str(config.absolute()),
        ]
    if options.local:
        words.append("--local")
    for name, value in options.param:
        words += ["--param", f"{name}={value}"]
    if settings.metrics_file is not None:
        words += ["--metrics-file", str(settings.metrics_file.absolute())]
    for name in ("select", "exclude", "limit", "max_runs"):
        value = getattr(options, name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return words


def _environment_file(name: str) -> Path:
    folder = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(folder).absolute() / "orchestrator" / f"{name}.env"


def _offers() -> list[str]:
    """The names of the settings in this environment, which a supervisor does not pass on."""
    named = (SCHEDULE, LEDGER_URL, SHARD, SHARDS)
    own = (name for name in os.environ if name.startswith(PREFIX) and name not in named)
    return sorted({*own, *(name for name in OFFERED if os.environ.get(name))})


def _shown(path: str, text: str, count: int) -> str:
    """A file for stdout; its name is a comment if there are several."""
    return text if count == 1 else f"# {path}\n{text}"


def _write(files: dict[str, str], folder: Path) -> None:
    """
    Writes the files into a folder, and prints their names.

    Raises:
        UsageError: the folder does not exist, or cannot be written.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder")
    for path, text in files.items():
        target = folder / Path(path).name
        try:
            write_file(target, [text.encode()])
        except OutputLost as error:
            raise OutputNotWritable(
                f"{target}: cannot be written; name another folder with --to, or correct its "
                "permissions"
            ) from error
        print(target)


def _warn(installation: Installation, supervisor: str) -> None:
    """Says on stderr what may go wrong later."""
    if any(part in CACHES for part in Path(installation.command[0]).parts):
        sys.stderr.write(
            f"warning: {installation.command[0]} is in a cache, which may be emptied: install the "
            "command with `uv tool install apify-batch` or pipx, and call schedule again\n"
        )
    what = GAPS.get(supervisor)
    words = what and gap_words(installation, supervisor.title(), what)
    if words:
        sys.stderr.write(f"warning: {words}\n")


def _warn_of_mistakes(
    loaded: LoadedSpec, installation: Installation, settings: Settings, options: argparse.Namespace
) -> None:
    """Says on stderr what `run` would refuse now; data may still come until it is called."""
    # The variables are those of the environment file.
    environment = dict.fromkeys((*os.environ, *loaded.variables), "set")
    jobs = expand(
        loaded,
        params=dict(options.param),
        env=environment,
        today=installation.schedule.day_of(installation.now),
        output=settings.output,
        is_local=options.local,
    )
    try:
        for _ in choice_of(options).of(jobs):
            pass
    except UsageError as error:
        sys.stderr.write(f"warning: now `orchestrator run` would end with 2:\n{error}\n")
