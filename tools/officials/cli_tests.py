"""The tests of Apify's CLI that talk to the API, from its repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from apify_emulator import EmulatorHandle, running_emulator
from tools.officials.suite import Place, Section, table

VERSION = "1.8.0"
_LIBRARIES = ("vitest@4.1.8", "execa@9.6.1", "mock-stdin@1.0.0", "@apify/tsconfig@0.2.0")
_SOURCES = ("test", "src", "package.json", "tsconfig.json", "vitest.config.ts")
_FILES = (
    "e2e/commands/actors/info",
    "e2e/commands/actors/ls",
    "e2e/commands/actors/search",
    "e2e/commands/auth/login",
    "e2e/commands/datasets/lifecycle",
    "e2e/commands/info",
    "e2e/commands/key-value-stores/lifecycle",
    "api/commands/actors/search",
    "api/commands/api",
    "api/commands/info",
    "api/commands/log_in_out",
)
_CREATES = "should support POST with --body"
_PUSHES = "authoring: pushes an Actor first"
EXCLUDED = (
    ("api/commands/api, one test", 1, "authoring: creates an Actor"),
    ("e2e/commands/runs/lifecycle", 10, _PUSHES),
    ("e2e/commands/builds/lifecycle", 14, _PUSHES),
    ("api/commands/builds/tags", 8, _PUSHES),
    ("api/commands/call", 5, _PUSHES),
    ("api/commands/task/run", 2, _PUSHES),
    ("api/commands/pull", 6, "authoring: pulls the sources of an Actor"),
    ("api/commands/push", 12, "authoring: pushes Actors"),
)
_TITLE = "The CLI's own tests"
_HEAD = f"""
The tests of `apify-cli` {VERSION} that need the API. Stand-ins take the places of the public Actors
that they name. Commands on runs, builds and tasks, whose tests push an Actor first, are in the
section on the CLI's commands.
"""
_TIERS = {"FREE": {"tieredEventPriceUsd": 0.002}, "GOLD": {"tieredEventPriceUsd": 0.001}}
_EVENT = {"eventTitle": "Place", "eventDescription": "A place", "eventTieredPricingUsd": _TIERS}
_PRICING = {
    "pricingModel": "PAY_PER_EVENT",
    "pricingPerEvent": {"actorChargeEvents": {"place": _EVENT}},
}
_SCRAPERS = ("web", "cheerio", "instagram-profile", "facebook-pages", "google-search", "youtube")


def cli_tests(place: Place) -> Section:
    """Runs the files of the list with the CLI's own test runner."""
    checkout = place.checkout("apify-cli", f"v{VERSION}", *_SOURCES)
    runner = place.npm(f"apify-cli@{VERSION}", *_LIBRARIES) / "vitest"
    # The end-to-end tests run what the registry's package has.
    shutil.copytree(place.folder / "node_modules" / "apify-cli" / "dist", checkout / "dist")
    report = place.folder / "report.json"
    words = [str(runner), "run", "--reporter", "json", "--outputFile", str(report)]
    words += ["--maxWorkers", "2", "--testNamePattern", f"^(?!.*{_CREATES})"]
    with running_emulator() as emulator:
        _add_actors(emulator)
        done = subprocess.run(
            [*words, *(f"test/{name}.test.ts" for name in _FILES)],
            check=False, cwd=checkout, env=_environment(place.folder, emulator),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    if not report.exists():
        return Section(_TITLE, f"The test runner fails: {done.stdout}", passed=False)
    return _section(json.loads(report.read_text()))


def _section(report: dict[str, object]) -> Section:
    passed, failed = int(str(report["numPassedTests"])), int(str(report["numFailedTests"]))
    if failed or not report["success"]:
        print(json.dumps(report, indent=1))
    excluded = sum(count for _, count, _ in EXCLUDED)
    counts = [("passed", str(passed)), ("failed", str(failed)), ("not run", str(excluded))]
    rows = [(f"`{name}`", str(count), reason) for name, count, reason in EXCLUDED]
    parts = [
        _HEAD.strip(),
        table(("tests", "count"), counts),
        "These cannot pass:",
        table(("file", "tests", "reason"), rows),
    ]
    summary = f"{passed} of {passed + failed} pass, {excluded} more cannot"
    return Section(_TITLE, "\n\n".join(parts) + "\n", bool(report["success"]), summary)


def _add_actors(emulator: EmulatorHandle) -> None:
    schema = {"title": "Input", "type": "object", "schemaVersion": 1, "properties": {}}
    for name in _SCRAPERS:
        emulator.add_actor(f"apify/{name}-scraper", [{"a": 1}])
    emulator.add_actor("apify/rag-web-browser", [{"a": 1}], schema=schema)
    emulator.add_actor(
        "lukaskrivka/google-maps-with-contact-details", [{"a": 1}], pricing_infos=[_PRICING]
    )


def _environment(home: Path, emulator: EmulatorHandle) -> dict[str, str]:
    variables = {name: text for name, text in emulator.variables.items() if name != "APIFY_TOKEN"}
    own = {"HOME": str(home), "APIFY_DISABLE_KEYRING": "1", "TEST_USER_TOKEN": emulator.token}
    return {"PATH": os.environ["PATH"], **own, **variables}
