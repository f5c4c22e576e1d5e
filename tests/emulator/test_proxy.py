"""The proxy that forwards requests."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import anyio
import pytest
from aiohttp import web

from tests.emulator.caller import Caller, calling
from tests.emulator.sample_actors import write_actor

STATUS_PAGE = "http://proxy.apify.com/?format=json"


@asynccontextmanager
async def _site() -> AsyncIterator[str]:
    """Serves a page that shows its request."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        body = (await request.read()).decode()
        seen = {"path": request.path_qs, "body": body, "headers": dict(request.headers)}
        return web.json_response(seen)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _proxy_url(call: Caller, username: str = "auto", password: str | None = None) -> str:
    variables = call.emulator.variables
    known = (await call("GET", "users/me")).data["proxy"]["password"]
    assert known == variables["APIFY_PROXY_PASSWORD"]
    place = f"{variables['APIFY_PROXY_HOSTNAME']}:{variables['APIFY_PROXY_PORT']}"
    return f"http://{username}:{password or known}@{place}"


async def test_proxy_forwards_requests(tmp_path: Path) -> None:
    """A request reaches its target with its body, and without the password of the proxy."""
    async with calling(tmp_path) as call, _site() as site, aiohttp.ClientSession() as session:
        proxy = await _proxy_url(call, "groups-RESIDENTIAL,session-abc_1,country-US")
        async with session.post(f"{site}/a?b=1", data="x" * 200_000, proxy=proxy) as answer:
            seen = await answer.json()
        assert (seen["path"], len(seen["body"])) == ("/a?b=1", 200_000)
        assert "Proxy-Authorization" not in seen["headers"]


async def test_proxy_opens_tunnels(tmp_path: Path) -> None:
    """CONNECT gives a connection to the target, as TLS needs it."""
    async with calling(tmp_path) as call, _site() as site:
        variables = call.emulator.variables
        login = base64.b64encode(f"auto:{variables['APIFY_PROXY_PASSWORD']}".encode()).decode()
        target = site.removeprefix("http://")
        port = int(variables["APIFY_PROXY_PORT"])
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            head = f"CONNECT {target} HTTP/1.1\r\nProxy-Authorization: Basic {login}\r\n\r\n"
            await stream.send(head.encode())
            assert (await stream.receive()).startswith(b"HTTP/1.1 200 ")
            request = f"GET /tunnel HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n"
            await stream.send(request.encode())
            answer = b"".join([piece async for piece in stream])
    assert b'"path": "/tunnel"' in answer


async def test_statistics_have_the_bytes_of_a_run(tmp_path: Path) -> None:
    """What a run exchanges with the API and through the proxy is in its statistics."""
    code = """
    dataset = "datasets/" + os.environ["ACTOR_DEFAULT_DATASET_ID"] + "/items"
    push({"text": "x" * 40_000})
    api("GET", dataset)
    account = json.loads(api("GET", "users/me"))["data"]
    assert account["proxy"]["password"] == os.environ["APIFY_PROXY_PASSWORD"]
    proxy = "http://auto:%s@127.0.0.1:%s" % (
        os.environ["APIFY_PROXY_PASSWORD"], os.environ["APIFY_PROXY_PORT"])
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy}))
    site = json.loads(api("GET", STORE + "/records/INPUT"))["site"]
    opener.open(site, data=b"y" * 100_000).read()
    """
    actors = write_actor(tmp_path / "actors", "mover", code)
    options = {"actors_dirs": (actors,), "envs_dir": tmp_path / "envs"}
    async with calling(tmp_path / "data", **options) as call, _site() as site:
        started = await call("POST", "actors/local~mover/runs", json={"site": site})
        run = await call.wait(started.data)
        assert run["status"] == "SUCCEEDED"
        # 40,000 to the API and back, 100,000 to the page, which shows them; the rest are heads.
        assert 140_000 < run["stats"]["netTxBytes"] < 150_000
        assert 140_000 < run["stats"]["netRxBytes"] < 150_000


async def test_status_page_says_whether_the_proxy_can_be_used(tmp_path: Path) -> None:
    """SDKs ask this page first; for an unknown group it has the reason."""
    async with calling(tmp_path) as call, aiohttp.ClientSession() as session:
        for username, error in (
            ("auto", None),
            ("groups-NOSUCH", 'Invalid proxy group "NOSUCH": it does not exist'),
        ):
            async with session.get(STATUS_PAGE, proxy=await _proxy_url(call, username)) as answer:
                status = json.loads(await answer.read())
            assert status["connected"] is (error is None)
            assert (error or "") in str(status["connectionError"])
            assert status["isManInTheMiddle"] is False


@pytest.mark.parametrize(
    ("username", "password", "status"),
    [
        pytest.param("auto", "wrong", 407, id="password"),
        pytest.param("groups-NOSUCH", None, 403, id="group"),
        pytest.param(f"session-{'x' * 51}", None, 403, id="session"),
    ],
)
async def test_proxy_refuses_what_the_account_does_not_allow(
    tmp_path: Path, username: str, password: str | None, status: int
) -> None:
    """The proxy needs the password, and unknown groups get a refusal."""
    async with calling(tmp_path) as call, _site() as site, aiohttp.ClientSession() as session:
        proxy = await _proxy_url(call, username, password)
        async with session.get(site, proxy=proxy) as answer:
            assert answer.status == status


async def test_proxy_survives_invalid_requests(tmp_path: Path) -> None:
    """Garbage, a target that does not listen and a broken connection affect no other request."""
    async with calling(tmp_path) as call, _site() as site, aiohttp.ClientSession() as session:
        port = int(call.emulator.variables["APIFY_PROXY_PORT"])
        for garbage in (b"\x16\x03\x01\r\n\r\n", b"x" * 70_000, b"GET http://[ HTTP/1.1\r\n\r\n"):
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                await stream.send(garbage)
                with anyio.move_on_after(5):
                    try:
                        assert (await stream.receive()).startswith(b"HTTP/1.1 40")
                    except (anyio.BrokenResourceError, anyio.EndOfStream):
                        continue
        proxy = await _proxy_url(call)
        async with session.get("http://127.0.0.1:1/", proxy=proxy) as answer:
            assert answer.status == 595
        async with session.get(site, proxy=proxy) as answer:
            assert answer.status == 200
