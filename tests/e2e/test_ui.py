"""The web page of all batches: what it shows, what it sends, and which requests it refuses."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr
from yarl import URL

from orchestrator.ledger import BatchLock, LedgerReader
from orchestrator.safe_text import SECRETS
from orchestrator.ui.live_batch import PACE, Pace
from orchestrator.ui.server import serve_pages
from tests.support.browser import needs_chromium, open_browser
from tests.support.command import Command
from tests.support.finished_batches import Made, many_jobs, write_batch
from tests.support.report_page import data_in, keys_in

TOKEN = "a-random-token"
KEY = "search-us-00004"
AT_ONCE = Pace(shortest_pause_secs=0.0, share=1000.0)
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the last of two batches, each with 40 jobs."""
    write_batch(tmp_path, many_jobs(40), number=1)
    return write_batch(tmp_path, many_jobs(40), number=2)


@asynccontextmanager
async def served(
    output: Path, pace: Pace = PACE, **headers: str
) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a server of these batches, which sends the token unless it is given headers."""
    async with (
        serve_pages(output, 0, SecretStr(TOKEN), pace) as url,
        aiohttp.ClientSession(URL(url).origin(), headers=headers or BEARER) as session,
    ):
        yield session


def _address(folder: Path) -> str:
    return f"/batches/{folder.parent.name}/{folder.name}"


async def _get(session: aiohttp.ClientSession, path: str | URL, **headers: str) -> tuple[int, str]:
    async with session.get(path, headers=headers, allow_redirects=False) as answer:
        return answer.status, await answer.text()


async def test_ui_needs_the_token_of_its_address(folder: Path) -> None:
    """Another user of the machine can connect to the port, and gets nothing."""
    async with served(folder.parents[1], Accept="*/*") as session:
        for path in ("/", "/changes", _address(folder), "/metrics", "/?token=wrong"):
            status, text = await _get(session, path)
            assert (status, "nightly" in text) == (403, False)
        assert (await _get(session, "/", Cookie="orchestrator-ui-1=a-random-token"))[0] == 403


async def test_token_moves_from_the_address_into_a_cookie(folder: Path) -> None:
    """The browser's history has no token, and no script can read it."""
    async with served(folder.parents[1], Accept="*/*") as session:
        async with session.get(f"/?token={TOKEN}", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/")
            cookie = answer.headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
        name, _, value = cookie.partition(";")[0].partition("=")
        assert (await _get(session, "/", Cookie=f"{name}={value}"))[0] == 200


async def test_token_leads_to_no_other_host(folder: Path) -> None:
    """An address with two slashes stays on this server when its token is taken out."""
    async with (
        serve_pages(folder.parents[1], 0, SecretStr(TOKEN)) as url,
        aiohttp.ClientSession() as session,
    ):
        path = url.replace("/?", "//evil.example/?")
        async with session.get(path, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/evil.example/")


async def test_request_that_is_not_http_is_not_shown(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever can connect cannot write to the terminal, and no token is written there."""
    async with serve_pages(folder.parents[1], 0, SecretStr(TOKEN)) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", URL(url).port)
        writer.write(f"GET / HTTP/1.1\r\nAuthorization : Bearer {TOKEN}\r\n\r\n".encode())
        assert b" 400 " in await reader.readline()
        writer.close()
    assert caplog.records == []


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "localhost:1"])
async def test_request_for_another_host_is_refused(folder: Path, host: str) -> None:
    """A foreign name for this machine is refused, for any content of the request."""
    async with served(folder.parents[1]) as session:
        status, text = await _get(session, "/", Host=host)
        assert (status, "nightly" in text) == (421, False)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    ],
)
async def test_request_of_another_site_is_refused(folder: Path, headers: dict[str, str]) -> None:
    """A page of another site, or of another port of this machine, gets no answer."""
    async with served(folder.parents[1]) as session:
        status, text = await _get(session, "/changes", **headers)
        assert (status, "nightly" in text) == (403, False)


async def test_answers_of_the_ui_forbid_what_they_do_not_need(folder: Path) -> None:
    """They forbid frames, other scripts, guesses of types and caches, also on refusals."""
    async with served(folder.parents[1]) as session:
        for path in ("/", "/changes", _address(folder), "/none"):
            async with session.get(path) as answer:
                headers = answer.headers
                policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert headers["Cache-Control"] == "no-store"


async def test_link_on_another_site_opens_the_page(folder: Path) -> None:
    """Who clicks on the address in a terminal on the web sees the pages, and no site reads them."""
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    async with served(folder.parents[1]) as session:
        assert (await _get(session, "/", **headers))[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_ui_is_read_only(folder: Path, method: str) -> None:
    """No request changes anything."""
    async with (
        served(folder.parents[1]) as session,
        session.request(method, _address(folder)) as answer,
    ):
        assert answer.status == 405


@pytest.mark.parametrize(
    "path",
    [
        "/batches/..%2F..%2Fetc/passwd",
        "/batches/%2e%2e/x",
        "/batches/nightly/%2e%2e%2f%2e%2e",
        "/batches/nightly/none",
        "/batches/nightly/%00",
        "/batches/.platform/x",
        "/none",
        f"/batches/{'n' * 300}/x",
    ],
    ids=lambda path: path[:40],
)
async def test_address_leads_only_to_batches(folder: Path, path: str) -> None:
    """No address leads out of the output folder."""
    async with served(folder.parents[1]) as session:
        assert (await _get(session, URL(path, encoded=True)))[0] == 404


async def test_batch_outside_of_the_output_folder_is_not_shown(tmp_path: Path) -> None:
    """Not even a batch: an encoded slash or two dots lead to none of another folder."""
    folder = write_batch(tmp_path / "other", many_jobs(2))
    (tmp_path / "output" / "x").mkdir(parents=True)
    async with served(tmp_path / "output") as session:
        for name in ("..%2Fother%2Fnightly", "x%2F..%2F..%2Fother%2Fnightly"):
            path = URL(f"/batches/{name}/{folder.name}", encoded=True)
            assert (await _get(session, path))[0] == 404
        path = URL(f"/batches/x/..%2F..%2Fother%2Fnightly%2F{folder.name}", encoded=True)
        assert (await _get(session, path))[0] == 404


async def test_page_of_a_name_that_is_a_link_keeps_its_name(folder: Path) -> None:
    """The folder of a name may be on another disk, where it has another name."""
    elsewhere = folder.parents[2] / "archive"
    folder.parent.rename(elsewhere)
    folder.parent.symlink_to(elsewhere)
    async with served(folder.parents[1]) as session:
        status, text = await _get(session, _address(folder))
        assert (status, "/batches/archive" in text) == (200, False)
        assert f"{_address(folder)}/changes" in text


async def test_overview_shows_names_with_history_and_broken_batches(folder: Path) -> None:
    """A ledger that cannot be read is one sentence; all other batches are there."""
    output = folder.parents[1]
    broken = write_batch(output, many_jobs(3), name="broken")
    (broken / "ledger.sqlite").write_bytes(b"not a ledger")
    write_batch(output, many_jobs(3), name="weekly", state="stopped", exit_code=3)
    async with served(output) as session:
        status, text = await _get(session, "/")
    assert status == 200
    assert "1 of 40 jobs failed" in text
    assert text.count('<svg class="columns"') == 4
    assert "Stopped early: 3 of 3 jobs done" in text
    assert f"{broken.name} cannot be shown: " in text
    assert f'href="{_address(folder)}"' in text


async def test_page_of_a_broken_batch_says_why(folder: Path) -> None:
    """Its address works, and the page has the reason instead of the figures."""
    async with served(folder.parents[1]) as session:
        (folder / "ledger.sqlite").write_bytes(b"not a ledger")
        status, text = await _get(session, _address(folder))
    assert status == 200
    assert "This batch cannot be shown: " in text
    assert "is not a ledger" in text


async def test_empty_output_folder_says_what_makes_a_batch(tmp_path: Path) -> None:
    """A reader who opens the page too early reads what to do."""
    async with served(tmp_path / "none") as session:
        status, text = await _get(session, "/")
    assert status == 200
    assert "orchestrator run SPEC" in text


async def test_page_of_a_batch_has_all_its_jobs(folder: Path) -> None:
    """It is the report with links to the pages of jobs, and a link back."""
    async with served(folder.parents[1]) as session:
        _, text = await _get(session, _address(folder))
    assert len(keys_in(text)) == 40
    assert data_in(text)["job"] == f"{_address(folder)}/jobs/"
    assert '<a href="/">All batches</a>' in text


async def _changes(session: aiohttp.ClientSession, folder: Path, since: str) -> Any:
    async with session.get(f"{_address(folder)}/changes", params={"since": since}) as answer:
        return await answer.json() if answer.status == 200 else answer.status


async def test_changes_are_only_what_changed(folder: Path) -> None:
    """A failed job sends its own row, its error, and the sections that it changes."""
    async with served(folder.parents[1], AT_ONCE) as session:
        _, text = await _get(session, _address(folder))
        version = data_in(text)["version"]
        assert await _changes(session, folder, version) == 204
        with closing(sqlite3.connect(folder / "ledger.sqlite")) as db, db:
            db.execute(
                "UPDATE jobs SET status = 'FAILED', error = 'broke now' WHERE key = ?", [KEY]
            )
        changes = await _changes(session, folder, version)
        assert [row[1] for row in changes["rows"]] == [KEY]
        assert changes["errors"] == ["broke now"]
        assert changes["rows"][0][10] == changes["errors_from"]
        assert {"outcome", "failures"} <= set(changes["sections"])
        assert "timeline" not in changes["sections"]
        assert await _changes(session, folder, changes["version"]) == 204
        assert (await _changes(session, folder, "of another server"))["reload"]


async def test_ledger_that_has_not_changed_is_not_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser that stays open costs nothing: only the times of the files are read."""
    readings = []

    class Counted(LedgerReader):
        def __init__(self, path: Path) -> None:
            readings.append(path)
            super().__init__(path)

    monkeypatch.setattr("orchestrator.app.batch.page_content.LedgerReader", Counted)
    async with served(folder.parents[1], AT_ONCE) as session:
        await _get(session, _address(folder))
        for _ in range(3):
            await _changes(session, folder, "x")
    assert len(readings) == 1


def _fill(folder: Path, items: int) -> None:
    files = folder / "jobs" / KEY
    files.mkdir(parents=True)
    lines = (json.dumps({"url": f"https://shop/{n}", "n": n}) for n in range(items))
    (files / "items.jsonl").write_text("".join(f"{line}\n" for line in lines))
    (files / "log.txt").write_text("first line\n" + "line\n" * 20_000 + "\x1b[31mlast line\n")
    (files / "input.json").write_text('{"query": "<b>chair</b>"}')


async def test_page_of_a_job_shows_attempts_input_items_and_log(folder: Path) -> None:
    """The first hundred items, the end of the log without colours, the input, each attempt."""
    _fill(folder, 150)
    async with served(folder.parents[1]) as session:
        status, text = await _get(session, f"{_address(folder)}/jobs/{KEY}")
        assert (await _get(session, f"{_address(folder)}/jobs/none"))[0] == 404
        log = await _get(session, f"{_address(folder)}/jobs/{KEY}/log.txt")
    assert status == 200
    assert "<td>https://shop/99</td><td>99</td>" in text
    assert "https://shop/100<" not in text
    assert "the first 100" in text
    assert "last line" in text
    assert "first line" not in text
    assert "\x1b" not in text
    assert "&lt;b&gt;chair&lt;/b&gt;" in text
    assert "https://console.apify.com/view/runs/run4n1" in text
    assert log[1].startswith("first line")


async def test_hostile_items_and_logs_stay_text(tmp_path: Path) -> None:
    """Content of an Actor cannot become a part of the page, and neither can names of fields."""
    hostile = "</pre></script><script>alert(1)</script>"
    folder = write_batch(tmp_path, [Made(key="job", params={hostile: hostile})])
    files = folder / "jobs" / "job"
    files.mkdir(parents=True)
    (files / "items.jsonl").write_text(
        json.dumps({hostile: hostile}) + "\n" + json.dumps([hostile]) + "\nnot json <b>\n"
    )
    (files / "log.txt").write_text(hostile)
    (files / "input.json").write_text(hostile)
    async with served(tmp_path) as session:
        _, text = await _get(session, f"{_address(folder)}/jobs/job")
    assert "<script>alert" not in text
    assert text.count("&lt;script&gt;alert(1)") >= 6
    assert len(re.findall("<script", text)) == 2


async def test_log_that_is_no_file_stops_no_page(folder: Path) -> None:
    """A pipe in a folder that somebody else has made would be waited for without an end."""
    files = folder / "jobs" / KEY
    files.mkdir(parents=True)
    os.mkfifo(files / "log.txt")
    async with served(folder.parents[1]) as session:
        for _ in range(3):
            assert (await _get(session, f"{_address(folder)}/jobs/{KEY}"))[0] == 200


async def test_secrets_are_not_shown(folder: Path) -> None:
    """A secret that an Actor printed or stored is redacted on the page."""
    SECRETS.add("hunter2-hunter2")
    files = folder / "jobs" / KEY
    files.mkdir(parents=True)
    (files / "log.txt").write_text("the password is hunter2-hunter2\n")
    (files / "items.jsonl").write_text('{"password": "hunter2-hunter2"}\n')
    async with served(folder.parents[1]) as session:
        _, text = await _get(session, f"{_address(folder)}/jobs/{KEY}")
    assert "hunter2" not in text
    assert "the password is [secret]" in text


def test_command_prints_the_address_first_and_ends_by_a_signal(command: Command) -> None:
    """The first line can be opened; Ctrl-C is the normal end."""
    process = command.start("ui")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{32}", process.first_line())
    process.terminate()
    process.communicate()
    assert process.code == 0


def test_port_that_cannot_be_used_is_a_usage_error(command: Command) -> None:
    """The message names the port and the option."""
    done = command.run("ui", "--port", "70000")
    assert done.code == 2
    assert "port 70000 of 127.0.0.1 cannot be used" in done.err
    assert "--port" in done.err


@needs_chromium
async def test_open_page_of_a_live_batch_updates_by_itself(folder: Path) -> None:
    """The headline, the failures and the row of a job change without a reload."""
    async with serve_pages(folder.parents[1], 0, SecretStr(TOKEN)) as url, open_browser() as page:
        with BatchLock(folder, "run"):
            await page.open(url)
            assert await page.evaluate("location.search") == ""
            await page.open(f"{URL(url).origin()}{_address(folder)}")
            await page.evaluate("window.isTheSame = true")
            assert "1 failed" in await page.text(".headline")
            with closing(sqlite3.connect(folder / "ledger.sqlite")) as db, db:
                db.execute(
                    "UPDATE jobs SET status = 'FAILED', error = 'broke now' WHERE key = ?", [KEY]
                )
            await page.wait_for(
                "document.querySelector('.headline').innerText.includes('2 failed')"
            )
            assert "broke now" in await page.text("#failures")
            assert "broke now" in await page.text("#table")
            assert await page.evaluate("window.isTheSame") is True
        assert page.complaints == []
