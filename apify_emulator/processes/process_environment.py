"""The environment variables of an Actor's process, as Apify's documentation lists them."""

from __future__ import annotations

import os

import orjson

from apify_emulator.account import ProxyPlace
from apify_emulator.actors.actor import Actor
from apify_emulator.client_variables import client_variables
from apify_emulator.runs.run import Run
from apify_emulator.times import iso

# No other variable of the emulator, because it could hold a secret of the owner.
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")
# Where this machine has browsers, as Apify's images say it, and which certificates it trusts.
_MACHINE = (
    "PLAYWRIGHT_BROWSERS_PATH",
    "PUPPETEER_EXECUTABLE_PATH",
    "PUPPETEER_CACHE_DIR",
    "CRAWLEE_DEFAULT_BROWSER_PATH",
    "APIFY_DEFAULT_BROWSER_PATH",
    "CRAWLEE_CHROME_EXECUTABLE_PATH",
    "APIFY_CHROME_EXECUTABLE_PATH",
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
)
# Lines reach the log when they are printed, and Python writes nothing into the Actor's sources.
_PYTHON = {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
# Older SDKs read these names.
_ALIASES = {
    "APIFY_ACTOR_RUN_ID": "ACTOR_RUN_ID",
    "APIFY_ACTOR_ID": "ACTOR_ID",
    "APIFY_ACTOR_EVENTS_WS_URL": "ACTOR_EVENTS_WEBSOCKET_URL",
    "APIFY_DEFAULT_DATASET_ID": "ACTOR_DEFAULT_DATASET_ID",
    "APIFY_DEFAULT_KEY_VALUE_STORE_ID": "ACTOR_DEFAULT_KEY_VALUE_STORE_ID",
    "APIFY_DEFAULT_REQUEST_QUEUE_ID": "ACTOR_DEFAULT_REQUEST_QUEUE_ID",
    "APIFY_INPUT_KEY": "ACTOR_INPUT_KEY",
    "APIFY_MEMORY_MBYTES": "ACTOR_MEMORY_MBYTES",
    "APIFY_STARTED_AT": "ACTOR_STARTED_AT",
    "APIFY_TIMEOUT_AT": "ACTOR_TIMEOUT_AT",
}


def process_environment(
    run: Run, actor: Actor, token: str, base_url: str, proxy: ProxyPlace
) -> dict[str, str]:
    """
    Returns the whole environment of one process of a run.

    Args:
        token: of this process.
        base_url: of this emulator, without `/v2`.
    """
    inherited = {name: os.environ[name] for name in (*_INHERITED, *_MACHINE) if name in os.environ}
    # Also those of Apify's CLI, which would call the real API otherwise.
    own = client_variables(base_url, proxy, run.id)
    own |= {**_about_run(run, actor), **_about_platform(run, token, base_url)}
    aliases = {alias: own[name] for alias, name in _ALIASES.items() if name in own}
    return {**inherited, **_PYTHON, **actor.environment, **own, **aliases}


def _about_run(run: Run, actor: Actor) -> dict[str, str]:
    options = run.options
    storages = {
        "datasets": {"default": run.dataset_id},
        "keyValueStores": {"default": run.store_id},
        "requestQueues": {"default": run.queue_id},
    }
    facts: dict[str, str | None] = {
        "ACTOR_ID": actor.id,
        "ACTOR_FULL_NAME": actor.full_name,
        "ACTOR_RUN_ID": run.id,
        "ACTOR_TASK_ID": run.task_id,
        "ACTOR_BUILD_ID": run.build_id,
        "ACTOR_BUILD_NUMBER": run.build_number,
        "ACTOR_BUILD_TAGS": actor.build_tag,
        "ACTOR_STARTED_AT": iso(run.started_at),
        "ACTOR_TIMEOUT_AT": None if run.timeout_at is None else iso(run.timeout_at),
        "ACTOR_MEMORY_MBYTES": str(options.memory_mbytes),
        "ACTOR_INPUT_KEY": run.input_key,
        "ACTOR_DEFAULT_DATASET_ID": run.dataset_id,
        "ACTOR_DEFAULT_KEY_VALUE_STORE_ID": run.store_id,
        "ACTOR_DEFAULT_REQUEST_QUEUE_ID": run.queue_id,
        "ACTOR_STORAGES_JSON": orjson.dumps(storages).decode(),
        "ACTOR_MAX_TOTAL_CHARGE_USD": _text(options.max_total_charge_usd),
        "ACTOR_MAX_PAID_DATASET_ITEMS": _text(options.max_items),
        "ACTOR_PERMISSION_LEVEL": run.permission_level,
        "APIFY_ACTOR_PRICING_INFO": _json(run.pricing),
        "APIFY_CHARGED_ACTOR_EVENT_COUNTS": _json(run.charged or {}) if run.pricing else None,
        "ACTOR_RESTART_ON_ERROR": "1" if options.restart_on_error else "0",
    }
    return {name: value for name, value in facts.items() if value is not None}


def _about_platform(run: Run, token: str, base_url: str) -> dict[str, str]:
    return {
        "ACTOR_EVENTS_WEBSOCKET_URL": f"ws{base_url.removeprefix('http')}/events/{run.id}"
        f"?token={token}",
        "APIFY_TOKEN": token,
        # Without it SDKs use local files instead of the API.
        "APIFY_IS_AT_HOME": "1",
        "APIFY_USER_IS_PAYING": "0",
        "APIFY_DEDICATED_CPUS": str(run.options.memory_mbytes / 4096),
        "APIFY_META_ORIGIN": run.origin,
    }


def _json(value: object) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def _text(value: float | None) -> str | None:
    return None if value is None else str(value)
