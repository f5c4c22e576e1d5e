"""The pages in a browser: by keyboard, in both themes, and against hostile sites and Actors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from tests.emulator.caller import TOKEN, Caller, calling
from tests.emulator.sample_actors import write_actor
from tests.support.browser import Page, needs_chromium, open_browser

pytestmark = [pytest.mark.asyncio(loop_scope="module"), needs_chromium]

_HOSTILE = (
    "<script>window.hacked=1</script><img src=x onerror='window.hacked=2'>"
    "</pre></td></title><svg onload='window.hacked=3'>\x1b[31mred\u202e\">"
)
# Elements and attributes that these pages never have, and links to other places.
_INJECTED = """[
  ...document.querySelectorAll("img, svg, iframe, object, base, script:not([nonce]), "
    + "style:not([nonce]), [onerror], [onload], [onclick], [style]"),
  ...[...document.links].filter(link => link.origin !== location.origin),
].map(found => found.outerHTML)"""
_CONTRAST = """(() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  function rgba(color) {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  }
  function over([r, g, b, a], below) {
    const part = a / 255;
    return [r, g, b].map((value, at) => value * part + below[at] * (1 - part));
  }
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.background = "Canvas";
  const paper = rgba(getComputedStyle(probe).backgroundColor);
  probe.remove();
  function behind(element) {
    if (!element) return paper;
    return over(rgba(getComputedStyle(element).backgroundColor), behind(element.parentElement));
  }
  function light(color) {
    const [r, g, b] = color.map(value => {
      value /= 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }
  function ratio(color, element) {
    const back = behind(element);
    const [a, b] = [light(over(rgba(color), back)), light(back)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  }
  const texts = [...document.body.querySelectorAll("*")].filter(element =>
    element.checkVisibility() && !["SCRIPT", "STYLE"].includes(element.tagName)
    && [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim()));
  const found = texts.map(element => [
    ratio(getComputedStyle(element).color, element),
    element.tagName + " " + element.textContent.slice(0, 40),
  ]);
  const focus = getComputedStyle(document.documentElement).getPropertyValue("--link");
  probe.style.color = focus;
  document.body.append(probe);
  const outline = ratio(getComputedStyle(probe).color, document.body);
  probe.remove();
  return {dark: light(paper) < 0.5, texts: found.length, outline,
          low: found.filter(([value]) => value < 4.5)};
})()"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Page]:
    """A browser for all tests of this file."""
    async with open_browser() as page:
        yield page


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Page) -> Page:
    """An empty tab without cookies."""
    await browser.clear()
    return browser


async def _press(page: Page, key: str) -> None:
    code = {"Tab": 9, "Enter": 13}[key]
    common = {"key": key, "code": key, "windowsVirtualKeyCode": code}
    text = {"text": "\r"} if key == "Enter" else {}
    await page.call("Input.dispatchKeyEvent", type="keyDown", **common, **text)
    await page.call("Input.dispatchKeyEvent", type="keyUp", **common)


async def _tab_to(page: Page, selector: str) -> int:
    """Presses Tab until an element has the focus; returns how many times."""
    for count in range(1, 40):
        await _press(page, "Tab")
        if await page.evaluate(f"document.activeElement.matches({selector!r})"):
            return count
    raise AssertionError(f"the focus never reaches {selector}")


async def _places(call: Caller, run: dict[str, Any]) -> list[str]:
    """Returns the path of one page of each kind."""
    store = f"storage/key-value-stores/{run['defaultKeyValueStoreId']}"
    return [
        "", "actors", f"actors/{run['actId']}", "storage", f"view/runs/{run['id']}",
        f"storage/datasets/{run['defaultDatasetId']}", store, f"{store}/records/OUTPUT",
        f"storage/request-queues/{run['defaultRequestQueueId']}", "actors/nothing",
    ]  # fmt: skip


async def test_pages_are_used_by_keyboard_alone(tmp_path: Path, page: Page) -> None:
    """The token, the skip link, a run, its log and its items: no step needs a mouse."""
    async with calling(tmp_path) as call:
        run = await call.finish({"items": 2, "log_lines": [f"line {n}" for n in range(200)]})
        await page.open(call.emulator.url)
        # The browser gives the field the focus after the page is loaded.
        await page.wait_for("document.activeElement.tagName == 'INPUT'")
        await page.call("Input.insertText", text=TOKEN)
        await _press(page, "Enter")
        await page.wait_for("document.title.startsWith('Runs')")
        await _press(page, "Tab")
        assert await page.evaluate("document.activeElement.className") == "skip"
        assert await page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
        style = "getComputedStyle(document.activeElement)"
        assert await page.evaluate(f"{style}.outlineStyle") != "none"
        assert await page.evaluate(f"parseFloat({style}.outlineWidth)") >= 2
        await _press(page, "Enter")
        # The table scrolls, so it can have the focus; its first link follows.
        assert await _tab_to(page, "main a") <= 2
        await _press(page, "Enter")
        await page.wait_for(f"document.title.includes({run['id']!r})")
        await _tab_to(page, "#log")
        scrolls = "document.activeElement.scrollHeight > document.activeElement.clientHeight"
        assert await page.evaluate(scrolls)
        await page.open(f"{call.emulator.url}/view/runs/{run['id']}")
        await _tab_to(page, "a[href^='/storage/datasets']")
        await _press(page, "Enter")
        await page.wait_for("document.title.startsWith('Dataset')")


async def test_question_that_a_new_page_interrupts_is_asked_again(
    tmp_path: Path, page: Page
) -> None:
    """A test that waits for the next page may ask while the browser changes to it."""
    first, second = tmp_path / "first.html", tmp_path / "second.html"
    first.write_text("<title>first</title>")
    second.write_text("<title>second</title>")
    await page.open(first.as_uri())
    leave = f"new Promise(() => {{ location.href = {second.as_uri()!r} }})"
    await page.wait_for(f"document.title == 'second' || {leave}")


async def test_texts_have_enough_contrast(tmp_path: Path, page: Page) -> None:
    """Every text has a contrast of 4.5, and the outline of the focus 3, as WCAG AA asks."""
    seen = []
    async with calling(tmp_path) as call:
        run = await call.finish({"items": 2, "output": {"ok": 1}, "log_lines": ["line"]})
        await call.finish({"outcome": "FAILED", "status_message": "no"})
        await page.open(f"{call.emulator.url}/?token={TOKEN}")
        for path in (*await _places(call, run), f"view/runs/{run['id']}?token=wrong"):
            await page.open(f"{call.emulator.url}/{path}")
            for is_dark in (False, True):
                await page.resize(1000, 800, is_dark=is_dark)
                seen.append(await page.evaluate(_CONTRAST))
                assert seen[-1]["dark"] is is_dark
    assert [found["low"] for found in seen] == [[]] * len(seen)
    assert all(found["outline"] >= 3 for found in seen)
    assert sum(found["texts"] for found in seen) > 100


async def test_pages_fit_a_small_screen(tmp_path: Path, page: Page) -> None:
    """On a phone only tables scroll sideways, never the page."""
    async with calling(tmp_path) as call:
        wide = {f"a_long_name_of_a_column_{n}": "x" * 60 for n in range(20)}
        run = await call.finish({"items": 3, "item": wide, "log_lines": ["y" * 400]})
        await page.resize(360, 740)
        await page.open(f"{call.emulator.url}/?token={TOKEN}")
        for path in await _places(call, run):
            await page.open(f"{call.emulator.url}/{path}")
            assert await page.evaluate("document.documentElement.scrollWidth") <= 360, path


@asynccontextmanager
async def _hostile_site() -> AsyncIterator[str]:
    """Serves an empty page of another site; browsers lead every name under localhost here."""

    async def empty(_request: web.BaseRequest) -> web.Response:
        return web.Response(text="<!doctype html><title>Evil</title>", content_type="text/html")

    runner = web.ServerRunner(web.Server(empty))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://evil.localhost:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def test_another_site_reads_and_changes_nothing(tmp_path: Path, page: Page) -> None:
    """A page of another site gets no answer, no frame and no run, though the cookie is there."""
    async with calling(tmp_path) as call, _hostile_site() as evil:
        run = await call.finish()
        own = f"{call.emulator.url}/view/runs/{run['id']}"
        await page.open(f"{own}?token={TOKEN}")
        assert run["id"] in await page.text("main")
        await page.open(evil)
        options = "{credentials: 'include', method: %r}"
        for method, url in (
            ("GET", own),
            ("POST", f"{call.emulator.url}/v2/actors/orchestrator~simulated/runs"),
            ("POST", f"{call.emulator.url}/__emulator/reset"),
            ("DELETE", f"{call.emulator.url}/v2/actor-runs/{run['id']}"),
        ):
            read = f"fetch({url!r}, {options % method}).then(a => a.text()).catch(() => 'refused')"
            assert run["id"] not in str(await page.evaluate(read))
        frame = (
            "new Promise(done => { const frame = document.createElement('iframe'); frame.src = "
            f"{own!r}; frame.onload = () => done(frame.contentDocument); "
            "document.body.append(frame); })"
        )
        assert await page.evaluate(frame) is None
        # A link on another site: the browser leaves the cookie out.
        await page.evaluate(f"location.href = {own!r}")
        await page.wait_for("document.querySelector('input[name=token]') !== null")
        assert run["id"] not in await page.text("body")
        assert [kept["id"] for kept in call.emulator.runs()] == [run["id"]]


async def test_another_name_of_this_machine_gets_nothing(tmp_path: Path, page: Page) -> None:
    """A name that leads to this machine (DNS rebinding) is refused, even with the token."""
    async with calling(tmp_path) as call:
        run = await call.finish()
        foreign = call.emulator.url.replace("127.0.0.1", "evil.localhost")
        for path in (f"/view/runs/{run['id']}", f"/view/runs/{run['id']}?token={TOKEN}"):
            await page.open(foreign + path)
            assert await page.text("h1") == "Not this name"
            assert run["id"] not in await page.text("body")
        assert await page.evaluate("document.cookie") == ""


async def test_hostile_output_stays_text_in_a_browser(tmp_path: Path, page: Page) -> None:
    """Items, records, requests, logs and descriptions of an Actor run no code on any page."""
    code = f"print({_HOSTILE!r}, flush=True)\ntime.sleep(60)"
    actors = write_actor(
        tmp_path / "actors", "bad", code, title=_HOSTILE, description=_HOSTILE,
        input={"title": _HOSTILE, "type": "object", "schemaVersion": 1, "properties": {}},
    )  # fmt: skip
    async with calling(tmp_path / "data", actors_dirs=(actors,)) as call:
        script: dict[str, Any] = {
            "items": 1, "item": {_HOSTILE: _HOSTILE}, "status_message": _HOSTILE,
            "output": _HOSTILE, "log_lines": [_HOSTILE],
        }  # fmt: skip
        run = await call.finish(script)
        queue = f"request-queues/{run['defaultRequestQueueId']}/requests"
        await call("POST", queue, json={"url": "javascript:hacked=4", "uniqueKey": _HOSTILE})
        page_record = f"key-value-stores/{run['defaultKeyValueStoreId']}/records/page"
        await call(
            "PUT", page_record, body=_HOSTILE.encode(), headers={"Content-Type": "text/html"}
        )
        live = (await call("POST", "actors/local~bad/runs")).data
        await page.open(f"{call.emulator.url}/?token={TOKEN}")
        store = f"storage/key-value-stores/{run['defaultKeyValueStoreId']}"
        places = [*await _places(call, run), f"{store}/records/page", f"actors/{live['actId']}"]
        for path in (*places, f"view/runs/{live['id']}"):
            await page.open(f"{call.emulator.url}/{path}")
            assert await page.evaluate(_INJECTED) == [], path
        # The last page follows the log, so its script adds the lines.
        await page.wait_for("document.getElementById('log').textContent.includes('onload')")
        assert await page.evaluate(_INJECTED) == []
        assert await page.evaluate("window.hacked === undefined")
        unexpected = [text for text in page.complaints if "404" not in text]
        assert unexpected == []
        own = (call.emulator.url, "data:")
        assert [url for url in page.requests if not url.startswith(own)] == []
        # The second line of defence: a page whose markup were broken would still run nothing.
        broken = "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=hacked=5>')"
        await page.evaluate(broken)
        await page.wait_for("document.images[0].complete")
        assert await page.evaluate("window.hacked === undefined")


async def test_record_that_is_a_page_reads_nothing(tmp_path: Path, page: Page) -> None:
    """A page that an Actor has stored runs no script beside the cookie of the emulator's pages."""
    script = b"<title>plain</title><script>document.title = 'hacked'</script>"
    async with calling(tmp_path) as call:
        run = await call.finish()
        store = f"key-value-stores/{run['defaultKeyValueStoreId']}"
        await call(
            "PUT", f"{store}/records/page", body=script, headers={"Content-Type": "text/html"}
        )
        await page.open(f"{call.emulator.url}/?token={TOKEN}")
        (key,) = (
            one
            for one in (await call("GET", f"{store}/keys")).data["items"]
            if one["key"] == "page"
        )
        await page.open(key["recordPublicUrl"])
        assert await page.evaluate("document.title") == "plain"
