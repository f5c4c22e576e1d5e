"""Chromium without a window, by its DevTools protocol: it shows what a reader of a page sees."""

from __future__ import annotations

import base64
import itertools
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import anyio
import pytest

from tests.support.command import LONGEST_SECS

NAMES = ("chromium", "google-chrome", "chromium-browser")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="needs chromium: apt-get install chromium"
)
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
    "--disable-background-networking", "--disable-extensions", "--disable-sync",
    "--disable-component-update", "--mute-audio", "--remote-debugging-port=0",
    "--disable-dev-shm-usage", "--font-render-hinting=none", "--allow-file-access-from-files",
)  # fmt: skip


INTERRUPTED = "Inspected target navigated or closed"


class Navigated(Exception):
    """The page that was asked has given way to another one before it answered."""


class Page:
    """
    A tab.

    Attributes:
        requests: the addresses that it has requested, including its own.
        complaints: errors of scripts, and what the page's policy has refused.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._loads = 0
        self.requests: list[str] = []
        self.complaints: list[str] = []

    async def call(self, method: str, **given: Any) -> Any:
        """Calls a method of the protocol, and records the events until its answer."""
        number = next(self._ids)
        await self._socket.send_json({"id": number, "method": method, "params": given})
        with anyio.fail_after(LONGEST_SECS):
            while True:
                message = await self._socket.receive_json()
                if message.get("id") == number:
                    if message.get("error", {}).get("message") == INTERRUPTED:
                        raise Navigated
                    assert "error" not in message, message
                    return message["result"]
                self._note(message)

    def _note(self, event: Any) -> None:
        match event["method"]:
            case "Network.requestWillBeSent":
                self.requests.append(event["params"]["request"]["url"])
            case "Page.loadEventFired":
                self._loads += 1
            case "Runtime.exceptionThrown":
                self.complaints.append(str(event["params"]["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if event["params"]["type"] == "error":
                self.complaints.append(str(event["params"]["args"]))
            case "Log.entryAdded" if event["params"]["entry"]["level"] == "error":
                self.complaints.append(event["params"]["entry"]["text"])

    async def open(self, url: str) -> None:
        """Opens an address, and waits until it is loaded and drawn."""
        before = self._loads
        await self.call("Page.navigate", url=url)
        with anyio.fail_after(LONGEST_SECS):
            # Not the state of the document: for a moment it is that of the page before.
            while self._loads == before:
                with suppress(Navigated):
                    await self.evaluate("0")
                await anyio.sleep(0.01)

    async def clear(self) -> None:
        """Makes the tab as good as new: empty, without cookies, with nothing recorded."""
        await self.open("about:blank")
        await self.call("Network.clearBrowserCookies")
        await self.call("Emulation.clearDeviceMetricsOverride")
        await self.call("Emulation.setEmulatedMedia", features=[])
        self.requests.clear()
        self.complaints.clear()

    async def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript."""
        found = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def wait_for(self, expression: str) -> None:
        """Waits until an expression is true, of this page or of one that follows it."""
        with anyio.fail_after(LONGEST_SECS):
            while True:
                with suppress(Navigated):
                    if await self.evaluate(expression):
                        return
                await anyio.sleep(0.02)

    async def resize(self, width: int, height: int, *, is_dark: bool = False) -> None:
        """Gives the page a size and a theme."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        theme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[theme])

    async def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Writes a screenshot as PNG: the visible part, or the whole page."""
        shot = await self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        await anyio.Path(path).write_bytes(base64.b64decode(shot["data"]))

    async def text(self, selector: str) -> str:
        """The visible text of an element."""
        return str(await self.evaluate(f"document.querySelector({selector!r}).innerText"))


@asynccontextmanager
async def open_browser() -> AsyncIterator[Page]:
    """Opens a browser with an empty tab, and closes it at the end of the block."""
    assert CHROMIUM is not None
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs
            [CHROMIUM, *OPTIONS, f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": folder},
        )
        try:
            port = await _port(Path(folder))
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    tabs = await answer.json()
                address = next(t["webSocketDebuggerUrl"] for t in tabs if t["type"] == "page")
                async with session.ws_connect(address, max_msg_size=0) as socket:
                    page = Page(socket)
                    for domain in ("Page", "Runtime", "Network", "Log"):
                        await page.call(f"{domain}.enable")
                    yield page
                    # Its processes end with it, and leave nothing to those that come after.
                    await page.call("Browser.close")
                    process.wait(LONGEST_SECS)
        finally:
            process.kill()
            process.wait()


async def _port(folder: Path) -> int:
    with anyio.fail_after(LONGEST_SECS):
        while True:
            with suppress(FileNotFoundError, IndexError, ValueError):
                return int((folder / "DevToolsActivePort").read_text().splitlines()[0])
            await anyio.sleep(0.02)
