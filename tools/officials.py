"""
Runs test suites that nobody here wrote against the emulator: `make officials`.

The suite is that of `apify-client` for Python, from its repository at the tag below. The client is
installed from the package index, in a virtual environment of its own. Nothing of the suite is kept
here but the names of the tests that cannot pass, with the reasons. Without network the command says
so and ends with 0.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
VERSION = "3.1.3"
REPOSITORY = "https://github.com/apify/apify-client-python"
EXCLUDED = ROOT / "tests" / "officials" / "excluded.toml"
PAGE = ROOT / "docs" / "officials.md"
# Public Actors that the suite names; stand-ins take their places.
STAND_INS = (
    "apify/hello-world",
    "apify/web-scraper",
    "apify/cheerio-scraper",
    "apify/instagram-profile-scraper",
    "apify/facebook-pages-scraper",
)
_VARIABLES = (
    'APIFY_TEST_USER_API_TOKEN="$APIFY_TOKEN" APIFY_TEST_USER_2_API_TOKEN="$APIFY_TOKEN" '
    'APIFY_INTEGRATION_TESTS_API_URL="$APIFY_API_BASE_URL"'
)


_TEXT = """\
# Official suites

`make officials` runs suites that nobody here wrote. It needs the network.

## The integration tests of apify-client {version} for Python

Each test runs with the synchronous and with the asynchronous client. Stand-ins take the places of
the public Actors that the tests name.

| tests | count |
| --- | ---: |
{rows}

The tests that are deselected cannot pass (`tests/officials/excluded.toml`):

| tests | reason |
| ---: | --- |
{reasons}

## Actors from Apify's templates

Run by hand on 2026-11-26, unchanged, on pages served on loopback; `make officials` does not run
them yet.

| template | what happened |
| --- | --- |
| `js-crawlee-cheerio`, `ts-crawlee-cheerio` | SUCCEEDED through the proxy, 7 items each |
| `js-bootstrap-cheerio-crawler` | no items: its only page is example.com, without network |
| `js-standby` | FAILED at once, and says that there is no Standby mode |

Not run yet: the other templates, the examples of the clients' documentation, the commands of
Apify's CLI, schemathesis.
"""


def main() -> None:
    """Runs the suite and prints its last line; `--write` writes the page of the docs too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", type=Path, help="a checkout of the client, instead of a clone")
    parser.add_argument("--write", action="store_true", help="write docs/officials.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="officials-") as name:
        folder = Path(name)
        suite = arguments.suite.absolute() if arguments.suite else _cloned(folder)
        if suite is None:
            print(f"skipped: {REPOSITORY} cannot be reached")
            return
        python = _environment(folder)
        if python is None:
            print("skipped: the client cannot be installed from the package index")
            return
        output = _run(folder, suite, python)
    summary = output.strip().splitlines()[-1]
    print(summary)
    if arguments.write:
        PAGE.write_text(_page(summary))
    sys.exit(0 if " failed" not in summary and " error" not in summary else 1)


def _cloned(folder: Path) -> Path | None:
    place = folder / "suite"
    words = ["git", "clone", "--quiet", "--depth", "1", "--branch", f"v{VERSION}", REPOSITORY]
    done = subprocess.run([*words, str(place)], check=False)
    return place if done.returncode == 0 else None


def _environment(folder: Path) -> Path | None:
    place = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    python = place / "bin" / "python"
    needed = [f"apify-client=={VERSION}", "pytest", "pytest-asyncio", "pytest-timeout"]
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return python if subprocess.run([*pip, *needed], check=False).returncode == 0 else None


def _run(folder: Path, suite: Path, python: Path) -> str:
    data = folder / "data"
    sample = folder / "items.json"
    sample.write_text('[{"message": "Hello"}]')
    emulator = [sys.executable, "-m", "apify_emulator"]
    for name in STAND_INS:
        words = ["add", name, "--items", str(sample), "--output", str(sample), "--data", str(data)]
        subprocess.run([*emulator, *words], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    settings = folder / "pytest.ini"
    settings.write_text("[pytest]\nasyncio_mode = auto\n")
    command = f"{_VARIABLES} {python} -m pytest -q --timeout 90 --tb=line -c {settings} "
    command = f"cd {suite} && {command} --rootdir {suite} -p no:cacheprovider tests/integration "
    command += " ".join(f"--deselect tests/integration/{test}" for test in excluded())
    words = [*emulator, "exec", "--data", str(data), "--", "sh", "-c", command]
    done = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True)
    print(done.stdout, done.stderr, sep="\n")
    return done.stdout


def excluded() -> dict[str, str]:
    """Returns the tests that cannot pass, with the reason of each."""
    groups = tomllib.loads(EXCLUDED.read_text())["group"]
    return {test: group["reason"] for group in groups for test in group["tests"]}


def _page(summary: str) -> str:
    groups = tomllib.loads(EXCLUDED.read_text())["group"]
    found = re.findall(r"(\d+) (passed|failed|deselected|errors?)", summary)
    rows = "\n".join(f"| {what} | {count} |" for count, what in found)
    reasons = "\n".join(f"| {2 * len(group['tests'])} | {group['reason']} |" for group in groups)
    return _TEXT.format(version=VERSION, rows=rows, reasons=reasons)


if __name__ == "__main__":
    main()
