"""The pages that a browser shows."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.emulator.caller import TOKEN, Caller, calling
from tests.emulator.sample_actors import write_actor
from tests.support.browser import Page, needs_chromium, open_browser

HOSTILE = "<img src=x onerror=alert(1)>\x1b[31mred\u202e"


@asynccontextmanager
async def _reader(call: Caller) -> AsyncIterator[aiohttp.ClientSession]:
    """Gives a session that has shown its token, as a browser would."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        async with session.get(f"{call.emulator.url}/", params={"token": TOKEN}) as answer:
            assert "token" not in answer.url.query
            assert answer.status == 200
        yield session


async def _text(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(URL(url, encoded=True)) as answer:
        assert answer.status == 200, url
        return await answer.text()


async def test_pages_show_runs_items_records_and_requests(tmp_path: Path) -> None:
    """From the list of runs, links lead to the log, the items as a table, records and requests."""
    async with calling(tmp_path) as call, _reader(call) as session:
        run = await call.finish({"items": 120, "item": {"a": {"b": 7}}, "output": {"ok": 1}})
        queue = f"request-queues/{run['defaultRequestQueueId']}/requests"
        await call("POST", queue, json={"url": "http://shop/1"})
        home = await _text(session, f"{call.emulator.url}/")
        assert f'href="/view/runs/{run["id"]}"' in home
        shown = await _text(session, run["consoleUrl"])
        assert "Simulated run ended: SUCCEEDED" in shown
        base = f"{call.emulator.url}/storage"
        items = await _text(session, f"{base}/datasets/{run['defaultDatasetId']}?offset=100")
        assert ">a/b</th>" in items
        assert "101 to 120 of 120" in items
        store = f"{base}/key-value-stores/{run['defaultKeyValueStoreId']}"
        assert "OUTPUT" in await _text(session, store)
        assert "&quot;ok&quot;" in await _text(session, f"{store}/records/OUTPUT")
        requests = await _text(session, f"{base}/request-queues/{run['defaultRequestQueueId']}")
        assert "http://shop/1" in requests
        actors = await _text(session, f"{call.emulator.url}/actors")
        assert "orchestrator/simulated" in actors


@pytest.mark.parametrize("shape", ["view/runs/{run}", "actors/runs/{run}", "actors/{a}/runs/{run}"])
async def test_addresses_of_the_console_lead_to_a_run(tmp_path: Path, shape: str) -> None:
    """Whoever replaces the host of an address of Apify Console sees the same run."""
    async with calling(tmp_path) as call, _reader(call) as session:
        run = await call.finish()
        path = shape.format(run=run["id"], a=run["actId"])
        assert run["id"] in await _text(session, f"{call.emulator.url}/{path}")


async def test_pages_need_the_token_and_are_to_read_only(tmp_path: Path) -> None:
    """Without the token there is a form and nothing else; a page changes nothing."""
    async with calling(tmp_path) as call:
        run = await call.finish()
        url = f"{call.emulator.url}/view/runs/{run['id']}"
        async with aiohttp.ClientSession() as session:
            async with session.get(url) as answer:
                assert (answer.status, run["id"] in await answer.text()) == (401, False)
            async with session.get(url, params={"token": "wrong"}) as answer:
                assert answer.status == 401
        async with _reader(call) as session, session.post(url) as answer:
            assert answer.status == 405


async def test_pages_refuse_the_name_of_another_host(tmp_path: Path) -> None:
    """A site that points its name at this machine gets nothing, even with the cookie."""
    async with calling(tmp_path) as call, _reader(call) as session:
        url = f"{call.emulator.url}/"
        async with session.get(url, headers={"Host": "evil.example:80"}) as answer:
            assert answer.status == 403
        async with session.get(url) as answer:
            policy = answer.headers["Content-Security-Policy"]
            (cookie,) = session.cookie_jar.filter_cookies(URL(url)).values()
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert cookie.value != TOKEN


async def test_cookie_is_kept_from_scripts_and_other_sites(tmp_path: Path) -> None:
    """The cookie is for this site alone, and no script can read it."""
    async with calling(tmp_path) as call, aiohttp.ClientSession() as session:
        url = f"{call.emulator.url}/?token={TOKEN}"
        async with session.get(url, allow_redirects=False) as answer:
            cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


async def test_pages_of_two_emulators_are_open_at_once(tmp_path: Path) -> None:
    """A browser can read the pages of several emulators, which differ in their ports only."""
    async with (
        calling(tmp_path / "a") as one,
        calling(tmp_path / "b") as other,
        _reader(one) as session,
    ):
        async with session.get(f"{other.emulator.url}/?token={TOKEN}") as answer:
            assert answer.status == 200
        await _text(session, one.emulator.url)
        await _text(session, other.emulator.url)


async def test_hostile_output_stays_text(tmp_path: Path) -> None:
    """Items, keys, messages and logs of an Actor never become markup or control characters."""
    script: dict[str, Any] = {
        "items": 1, "item": {HOSTILE: HOSTILE}, "status_message": HOSTILE,
        "output": HOSTILE, "log_lines": [HOSTILE],
    }  # fmt: skip
    async with calling(tmp_path) as call, _reader(call) as session:
        run = await call.finish(script)
        store = f"storage/key-value-stores/{run['defaultKeyValueStoreId']}"
        for path in (
            "", f"view/runs/{run['id']}", f"storage/datasets/{run['defaultDatasetId']}",
            f"{store}/records/OUTPUT", f"{store}/records/%3Cb%3E",
        ):  # fmt: skip
            async with session.get(URL(f"{call.emulator.url}/{path}", encoded=True)) as answer:
                text = await answer.text()
            assert "<img" not in text
            assert not re.search("[\x1b\u202e]", text)


@needs_chromium
async def test_page_of_a_run_follows_its_log_in_a_browser(tmp_path: Path) -> None:
    """Chromium shows new lines by themselves, then the end, and requests nothing from elsewhere."""
    code = 'print("one", flush=True)\nwhile not json.loads(api("GET", STORE + "/keys"))'
    code += '["data"]["items"]: time.sleep(0.05)\nprint("two", flush=True)\ntime.sleep(1)'
    actors = write_actor(tmp_path / "actors", "slow", code)
    async with calling(tmp_path / "data", actors_dirs=(actors,)) as call, open_browser() as page:
        run = (await call("POST", "actors/local~slow/runs")).data
        await page.open(f"{call.emulator.url}/view/runs/{run['id']}?token={TOKEN}")
        log = "document.getElementById('log')?.textContent"
        await page.wait_for(f"{log}.includes('one')")
        store = f"key-value-stores/{run['defaultKeyValueStoreId']}"
        await call("PUT", f"{store}/records/go", json=1)
        await page.wait_for(f"{log}.includes('two')")
        ended = "document.getElementById('state')?.textContent === 'SUCCEEDED'"
        await page.wait_for(ended)
        _assert_quiet(page, call)
        await page.evaluate("document.querySelector('main a').focus()")
        assert await page.evaluate("document.activeElement.tagName") == "A"


def _assert_quiet(page: Page, call: Caller) -> None:
    assert page.complaints == []
    own = (call.emulator.url, "data:")
    assert [url for url in page.requests if not url.startswith(own)] == []
