"""The URLs of `[notify]`: their variables, their mistakes, and what a broken spec still says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.errors import OrchestratorError
from orchestrator.extras import Extra, not_installed
from orchestrator.model.batches import NotifyPlan, NotifyWhen
from orchestrator.platform_address import is_web_address
from orchestrator.specfile.batch_end import NotifyTable
from orchestrator.specfile.templates.template import is_template
from orchestrator.specfile.text.includes import read_documents
from orchestrator.specfile.text.positions import Path as FieldPath

# Not by Jinja2: its import would delay every start, and a URL needs nothing else.
ENV = re.compile(r"\{\{\s*env\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


def env_names_in(plan: NotifyPlan) -> frozenset[str]:
    """The environment variables that the URLs use."""
    texts = (*plan.urls, plan.ping_url or "")
    return frozenset(name for text in texts for name in ENV.findall(text))


def rendered(text: str, env: Mapping[str, str]) -> str | None:
    """A URL with the values of the environment; None if one of them is not set."""
    if any(not env.get(name) for name in ENV.findall(text)):
        return None
    return ENV.sub(lambda found: env[found[1]], text).strip()


def plan_of_table(table: NotifyTable | None) -> NotifyPlan | None:
    """The table as the ledger stores it; None for no table."""
    if table is None:
        return None
    return NotifyPlan(on=NotifyWhen(table.on), urls=tuple(table.urls), ping_url=table.ping_url)


def check_notify(
    table: NotifyTable | None, env: Mapping[str, str]
) -> Iterator[tuple[FieldPath, str]]:
    """Checks what would prevent a notification, before any money is spent."""
    if table is None:
        return
    if table.urls and table.on != "never" and find_spec("apprise") is None:
        yield ("notify", "urls"), not_installed(Extra.NOTIFY)
    places: list[tuple[FieldPath, str]] = [
        (("notify", "urls", index), url) for index, url in enumerate(table.urls)
    ]
    if table.ping_url is not None:
        places.append((("notify", "ping_url"), table.ping_url))
    for path, text in places:
        if is_template(ENV.sub("", text)):
            yield path, "only {{ env.NAME }} can be used here"
        for name in sorted(set(ENV.findall(text))):
            if not env.get(name):
                yield path, f"the environment variable {name} is not set"
        url = rendered(text, env)
        if path[-1] == "ping_url" and url is not None and not is_web_address(url):
            yield path, "must be an http or https address"


def name_and_plan_in(path: Path) -> tuple[str | None, NotifyPlan | None]:
    """
    The name and the `[notify]` of a spec that may have mistakes; None for what cannot be read.

    Each valid field of `[notify]` counts.
    """
    data = _data_of(path)
    batch, notify = data.get("batch"), data.get("notify")
    name = batch.get("name") if isinstance(batch, dict) else None
    if not isinstance(notify, dict):
        return name if isinstance(name, str) else None, None
    fields: dict[str, Any] = {}
    for field in NotifyTable.model_fields.keys() & notify.keys():
        try:
            NotifyTable.model_validate({field: notify[field]})
        except ValidationError:
            continue
        fields[field] = notify[field]
    plan = plan_of_table(NotifyTable.model_validate(fields))
    return name if isinstance(name, str) else None, plan


def _data_of(path: Path) -> dict[str, Any]:
    """The data of a spec, without the included files that cannot be read."""
    try:
        return read_documents(path).data
    except (OrchestratorError, OSError):
        return {}
