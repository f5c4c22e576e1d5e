"""Leads Playwright, Puppeteer and Crawlee to this machine's Chromium, and templates to programs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from apify_emulator import EmulatorOptions
from tools.officials.suite import ROOT

# What templates call by name.
_PROGRAMS = ("bun@1.4.5", "apify-cli@1.10.0")
# The version of the templates: its list says which folders it looks into.
_PLAYWRIGHT = "playwright-core@1.61.1"
# The certificate of the pages is in no list that a browser trusts.
_CHROMIUM = '#!/bin/sh\nexec "{path}" --ignore-certificate-errors "$@"\n'
_PLACES = {
    "chromium": ("chrome-linux64/chrome", "chrome-linux/chrome"),
    "chromium_headless_shell": (
        "chrome-headless-shell-linux64/chrome-headless-shell",
        "chrome-linux/headless_shell",
    ),
}


def prepare(folder: Path) -> dict[str, str]:
    """Installs the programs and places the browsers; returns the variables for builds and runs."""
    tools = folder / "tools"
    tools.mkdir()
    words = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(tools)]
    subprocess.run([*words, *_PROGRAMS, _PLAYWRIGHT], check=False, capture_output=True)
    chromium = tools / "chromium"
    chromium.write_text(_CHROMIUM.format(path=shutil.which("chromium")))
    chromium.chmod(0o755)
    _place_browsers(folder, tools / "node_modules" / "playwright-core" / "browsers.json")
    return {
        "PATH": f"{tools / 'node_modules' / '.bin'}:{os.environ['PATH']}",
        "PLAYWRIGHT_BROWSERS_PATH": str(folder / "browsers"),
        # It would remove the folders of other versions.
        "PLAYWRIGHT_SKIP_BROWSER_GC": "1",
        "PUPPETEER_SKIP_DOWNLOAD": "1",
        "PUPPETEER_EXECUTABLE_PATH": str(chromium),
        "CRAWLEE_DEFAULT_BROWSER_PATH": str(chromium),
    }


def place_for_python(folder: Path) -> None:
    """Places the browsers for each version of Playwright that the builds have installed."""
    environments = EmulatorOptions(data_dir=ROOT).environments
    driver = "lib/python*/site-packages/playwright/driver/package/browsers.json"
    for path in environments.glob(f"python-*/{driver}"):
        _place_browsers(folder, path)


def _place_browsers(folder: Path, description: Path) -> None:
    """Puts Chromium where a version of Playwright looks for its own, and marks all as installed."""
    if not description.exists():
        return
    for browser in json.loads(description.read_text())["browsers"]:
        name = browser["name"].replace("-", "_")
        place = folder / "browsers" / f"{name}-{browser['revision']}"
        place.mkdir(parents=True, exist_ok=True)
        (place / "INSTALLATION_COMPLETE").touch()
        for path in _PLACES.get(name, ()):
            (place / path).parent.mkdir(exist_ok=True)
            if not (place / path).is_symlink():
                (place / path).symlink_to(folder / "tools" / "chromium")
