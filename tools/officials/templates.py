"""Apify's official templates of Actors, unchanged, on pages of this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tools.officials import machine_browsers
from tools.officials.suite import EMULATOR, ROOT, Place, Section, SkippedError, table
from tools.officials.template_list import CANNOT_RUN, COMMIT, REPOSITORY, TEMPLATES, Template
from tools.officials.template_site import in_namespace

_TEXT = """\
All templates of `apify/actor-templates` at {commit}, but the {standby} for Standby mode. Each
runs unchanged, built by the emulator, in a network namespace where a server on loopback answers
for apify.com, crawlee.dev and example.com. Browsers are Debian's Chromium.

{passed} of {runnable} succeed with the items of the pages.

{results}

The others cannot run here:

{rest}
"""


def templates(place: Place) -> Section:
    """Builds and runs the templates."""
    if subprocess.run(in_namespace(place.folder, ["true"]), check=False).returncode:
        raise SkippedError("this machine permits no namespace (unshare --map-root-user --net)")
    checkout = place.checkout(REPOSITORY, COMMIT) / "templates"
    environment = os.environ | machine_browsers.prepare(place.folder)
    missing = {
        template.name: why for template in TEMPLATES if (why := _missing(template, environment))
    }
    for template in TEMPLATES:
        if template.name not in missing:
            shutil.copytree(checkout / template.name, place.folder / "actors" / template.name)
    build = [*EMULATOR, "build", "--actors", str(place.folder / "actors")]
    subprocess.run(build, check=False, cwd=ROOT, env=environment)
    machine_browsers.place_for_python(place.folder)
    names = [template.name for template in TEMPLATES if template.name not in missing]
    words = [sys.executable, "-m", "tools.officials.template_runs", str(place.folder), *names]
    done = subprocess.run(
        in_namespace(place.folder, words),
        check=False, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    found = {result["name"]: result for result in map(json.loads, done.stdout.splitlines())}
    rows = [
        _row(template, found.get(template.name), missing.get(template.name))
        for template in TEMPLATES
    ]
    return _section(rows, _standby(checkout))


def _section(rows: list[tuple[str, ...]], standby: int) -> Section:
    passed = sum(row[1].startswith("SUCCEEDED") for row in rows)
    text = _TEXT.format(
        commit=COMMIT[:7],
        standby=standby,
        passed=passed,
        runnable=len(rows),
        results=table(("template", "run", "items"), rows),
        rest=table(
            ("template", "reason"), [(f"`{name}`", why) for name, why in CANNOT_RUN.items()]
        ),
    )
    failed = [row for row in rows if not row[1].startswith(("SUCCEEDED", "skipped"))]
    summary = f"{passed} of {len(rows)} succeed, {standby + len(CANNOT_RUN)} more cannot run"
    return Section("Actors from Apify's templates", text, not failed, summary)


def _row(template: Template, result: dict[str, Any] | None, missing: str | None) -> tuple[str, ...]:
    name = f"`{template.name}`"
    if missing is not None:
        return name, f"skipped: {missing}", "0"
    if result is None:
        return name, "FAILED: no result", "0"
    status, count = result["run"]["status"], len(result["items"])
    if status == "SUCCEEDED" and count == template.items:
        return name, status, str(count)
    print(f"--- {template.name}: {status}, {result['items']}\n{result['log'][-4000:]}")
    why = result["run"]["statusMessage"] if status != "SUCCEEDED" else f"not {template.items} items"
    return name, f"WRONG: {status}, {why}", str(count)


def _missing(template: Template, environment: dict[str, str]) -> str | None:
    if not template.needs or shutil.which(template.needs, path=environment["PATH"]):
        return None
    return f"{template.needs} is not installed"


def _standby(checkout: Path) -> int:
    definitions = [json.loads(path.read_text()) for path in checkout.glob("*/.actor/actor.json")]
    known = {template.name for template in TEMPLATES} | CANNOT_RUN.keys()
    found = {path.parent.parent.name for path in checkout.glob("*/.actor/actor.json")}
    standby = sum(bool(definition.get("usesStandbyMode")) for definition in definitions)
    if len(found - known) != standby:
        raise SkippedError(f"unknown templates: {', '.join(sorted(found - known))}")
    return standby
