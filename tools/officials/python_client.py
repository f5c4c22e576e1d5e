"""The integration tests of Apify's client for Python, from its repository."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

from tools.officials.suite import EMULATOR, ROOT, Place, Section, table

VERSION = "3.1.3"
EXCLUDED = ROOT / "tests" / "officials" / "excluded.toml"
# Public Actors that the suite names; stand-ins take their places.
STAND_INS = (
    "apify/hello-world",
    "apify/web-scraper",
    "apify/cheerio-scraper",
    "apify/instagram-profile-scraper",
    "apify/facebook-pages-scraper",
)
_TIERS = {"FREE": 0.002, "GOLD": 0.001}
_PRICES = {
    "tieredPricing": {tier: {"tieredPricePerUnitUsd": price} for tier, price in _TIERS.items()}
}
_EVENT = {
    "eventTitle": "Page",
    "eventDescription": "A page",
    "isPrimaryEvent": True,
    "isOneTimeEvent": False,
    "eventTieredPricingUsd": {
        tier: {"tieredEventPriceUsd": price} for tier, price in _TIERS.items()
    },
}
_FACTS: dict[str, dict[str, Any]] = {
    "apify/instagram-profile-scraper": {"version": "0.0.1", "minMemoryMbytes": 128},
    "apify/facebook-pages-scraper": {
        "pricingInfos": [
            {"pricingModel": "PRICE_PER_DATASET_ITEM", **_PRICES},
            {
                "pricingModel": "PAY_PER_EVENT",
                "pricingPerEvent": {"actorChargeEvents": {"page": _EVENT}},
            },
        ]
    },
}
_VARIABLES = (
    'APIFY_TEST_USER_API_TOKEN="$APIFY_TOKEN" APIFY_TEST_USER_2_API_TOKEN="$APIFY_TOKEN" '
    'APIFY_INTEGRATION_TESTS_API_URL="$APIFY_API_BASE_URL"'
)
_COUNT = re.compile(r"(\d+) (passed|failed|deselected|errors?)")
_TEXT = """\
The integration tests of apify-client {version}. Each test runs with the synchronous and with the
asynchronous client. Stand-ins take the places of the public Actors that the tests name.

{counts}

The tests that are deselected cannot pass (`tests/officials/excluded.toml`):

{reasons}
"""


def python_client(place: Place) -> Section:
    """Runs all tests but those of excluded.toml."""
    suite = place.checkout("apify-client-python", f"v{VERSION}", "tests")
    python = place.environment(
        f"apify-client=={VERSION}", "pytest", "pytest-asyncio", "pytest-timeout"
    )
    data, sample = place.folder / "data", place.folder / "items.json"
    sample.write_text('[{"message": "Hello"}]')
    for name in STAND_INS:
        words = ["add", name, "--items", str(sample), "--output", str(sample), "--data", str(data)]
        subprocess.run([*EMULATOR, *words], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    _describe(data / "actors")
    settings = place.folder / "pytest.ini"
    settings.write_text("[pytest]\nasyncio_mode = auto\n")
    command = f"{_VARIABLES} {python} -m pytest -q --timeout 90 --tb=line -c {settings} "
    command = f"cd {suite} && {command} --rootdir {suite} -p no:cacheprovider tests/integration "
    command += " ".join(f"--deselect tests/integration/{test}" for test in excluded())
    words = [*EMULATOR, "exec", "--data", str(data), "--", "sh", "-c", command]
    done = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True)
    print(done.stdout, done.stderr, sep="\n")
    summary = done.stdout.strip().splitlines()[-1]
    passed = " failed" not in summary and " error" not in summary
    counts = {what: int(count) for count, what in _COUNT.findall(summary)}
    ran = sum(count for what, count in counts.items() if what != "deselected")
    row = f"{counts.get('passed', 0)} of {ran} pass, {counts.get('deselected', 0)} more cannot"
    return Section("The Python client's own tests", _text(summary), passed, row)


def _describe(actors: Path) -> None:
    """Gives two stand-ins what the suite reads of their real Actors: prices, memory, version."""
    for name, facts in _FACTS.items():
        path = actors / name.replace("/", "~") / ".actor" / "actor.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


def excluded() -> dict[str, str]:
    """Returns the tests that cannot pass, with the reason of each."""
    groups = tomllib.loads(EXCLUDED.read_text())["group"]
    return {test: group["reason"] for group in groups for test in group["tests"]}


def _text(summary: str) -> str:
    groups = tomllib.loads(EXCLUDED.read_text())["group"]
    found = _COUNT.findall(summary)
    counts = table(("tests", "count"), [(what, count) for count, what in found])
    rows = [(str(2 * len(group["tests"])), group["reason"]) for group in groups]
    reasons = table(("tests", "reason"), rows)
    return _TEXT.format(version=VERSION, counts=counts, reasons=reasons)
