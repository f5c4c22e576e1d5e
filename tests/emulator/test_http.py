"""What holds for every endpoint: tokens, paths, methods, bodies."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import aiohttp
import brotli  # type: ignore[import-untyped]  # it has no type information
import pytest
from pydantic import SecretStr

from apify_emulator import EmulatorOptions
from tests.emulator.caller import SIMULATED, TOKEN, calling
from tests.support.api_coverage import PAGE, coverage_page
from tests.support.openapi import watched_emulator

LIMIT = 9_437_184


async def test_token_is_taken_from_header_or_query(tmp_path: Path) -> None:
    """A request without a token, or with a wrong one, is refused."""
    async with (
        watched_emulator(EmulatorOptions(data_dir=tmp_path, token=SecretStr(TOKEN))) as emulator,
        aiohttp.ClientSession() as session,
    ):
        url = f"{emulator.url}/v2/users/me"

        async def ask(query: str, header: str | None = None) -> tuple[int, str]:
            headers = {"Authorization": header} if header else {}
            async with session.get(url + query, headers=headers) as answer:
                return answer.status, (await answer.json()).get("error", {}).get("type", "")

        assert await ask("") == (401, "token-not-provided")
        assert await ask("?token=wrong") == (401, "user-or-token-not-found")
        assert await ask("", "Bearer wrong") == (401, "user-or-token-not-found")
        assert await ask(f"?token={TOKEN}") == (200, "")
        assert await ask("", f"Bearer {TOKEN}") == (200, "")


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_random_token_is_in_no_file(tmp_path: Path) -> None:
    """Without a given token each emulator creates a random one, and writes it to no file."""
    tokens = []
    for _ in range(2):
        async with watched_emulator(EmulatorOptions(data_dir=tmp_path)) as emulator:
            tokens.append(emulator.token.get_secret_value())
            assert not [path for path in _files(tmp_path) if tokens[-1] in path.read_text()]
    assert tokens[0] != tokens[1]


@pytest.mark.parametrize(
    "path", ["", "v1/users/me", "nothing", "actor-runs/x/y/z", "datasets//items"]
)
async def test_unknown_endpoint_is_404_with_the_error_envelope(tmp_path: Path, path: str) -> None:
    """An endpoint that does not exist is answered like one of Apify."""
    async with calling(tmp_path) as call:
        assert (await call("GET", path)).error == (404, "page-not-found")


async def test_wrong_method_is_405_and_names_the_right_ones(tmp_path: Path) -> None:
    """The refusal of a method lists those that the endpoint has."""
    async with calling(tmp_path) as call:
        reply = await call("DELETE", "actor-runs")
        assert reply.error == (405, "method-not-allowed")
        assert reply.json()["error"]["message"].endswith("OPTIONS,GET")


async def test_get_can_stand_for_another_method(tmp_path: Path) -> None:
    """The parameter `method` overrides GET, for clients that can only send GET."""
    async with calling(tmp_path) as call:
        reply = await call("GET", f"{SIMULATED}/runs?method=POST")
        assert reply.status == 201


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("identity", bytes),
        ("gzip", gzip.compress),
        ("br", brotli.compress),
        ("deflate", zlib.compress),
    ],
)
async def test_body_may_be_compressed_up_to_the_limit(
    tmp_path: Path, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    """A body of exactly the limit is accepted, and one byte more is refused, in every encoding."""
    async with calling(tmp_path) as call:
        store = (await call("POST", "key-value-stores")).data["id"]
        headers = {"Content-Encoding": encoding, "Content-Type": "text/plain"}
        path = f"key-value-stores/{store}/records/big"
        good = await call("PUT", path, body=pack(b"x" * LIMIT), headers=headers)
        assert good.status == 201
        assert len((await call("GET", path)).body) == LIMIT
        bad = await call("PUT", path, body=pack(b"x" * (LIMIT + 1)), headers=headers)
        assert bad.error == (413, "request-too-large")
        assert bad.json()["error"]["message"] == (
            "The POST payload is too large (limit: 9437184 bytes, actual length: 9437185 bytes)."
        )


async def test_unknown_encoding_is_refused(tmp_path: Path) -> None:
    """An encoding that the emulator does not support is a 415."""
    async with calling(tmp_path) as call:
        reply = await call(
            "POST", f"{SIMULATED}/runs", body=b"x", headers={"Content-Encoding": "zstd"}
        )
        assert reply.error == (415, "unsupported-content-encoding")


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate"])
async def test_body_with_a_wrong_encoding_is_refused(tmp_path: Path, encoding: str) -> None:
    """A body that does not match its encoding is a 400."""
    async with calling(tmp_path) as call:
        reply = await call(
            "POST", f"{SIMULATED}/runs", body=b"{}{}", headers={"Content-Encoding": encoding}
        )
        assert reply.error == (400, "invalid-request")


def test_page_of_the_api_is_current() -> None:
    """docs/emulator-api.md says which operations of the official description are served."""
    assert PAGE.read_text() == coverage_page(), "run make emulator-api"


async def test_what_the_emulator_does_not_have_is_said(tmp_path: Path) -> None:
    """The answer to an operation without support has the reason, and is not one to repeat."""
    async with calling(tmp_path) as call:
        for method, path in (("POST", "schedules"), ("GET", "actors/x~y/versions")):
            reply = await call(method, path)
            assert reply.error == (400, "not-implemented")
            assert "The emulator does not support this" in reply.json()["error"]["message"]
