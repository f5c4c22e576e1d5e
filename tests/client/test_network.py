from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from orchestrator.apify import ApifyClient, ClientOptions
from orchestrator.errors import ConnectionLost
from orchestrator.model.ids import RunId
from tests.client.raw_server import ReceivedRequest, answering, http, raw_server

QUICK = """
import asyncio, os, sys
from orchestrator.cli.quick_imports import quick_imports

with quick_imports():
    import aiohttp

async def main(url, certificate):
    if certificate:
        os.environ["SSL_CERT_FILE"] = certificate
    async with aiohttp.ClientSession() as session:
        for _ in range(2):
            try:
                async with session.get(url) as answer:
                    print(answer.status)
            except aiohttp.ClientConnectorCertificateError as error:
                print(error.certificate_error.reason)

asyncio.run(main(*sys.argv[1:]))
"""
RUN = b'{"data": {"id": "run1", "status": "SUCCEEDED"}}'


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def client_of(url: str) -> ApifyClient:
    return ApifyClient(ClientOptions(base_url=url, token=SecretStr("t0ken"), away_secs=0.0))


async def test_proxy_of_the_environment_is_used(environment: pytest.MonkeyPatch) -> None:
    """With HTTP_PROXY, the proxy gets each request with the full address and credentials."""
    async with raw_server(answering(http(RUN))) as proxy:
        environment.setenv("HTTP_PROXY", proxy.url.replace("http://", "http://user:pass@"))
        async with client_of("http://platform.example") as client:
            await client.runs.get(RunId("run1"))
    (received,) = proxy.received
    assert received.target == "http://platform.example/v2/actor-runs/run1"
    assert received.headers["Proxy-Authorization"] == "Basic dXNlcjpwYXNz"
    assert received.headers["Authorization"] == "Bearer t0ken"


async def test_loopback_does_not_use_the_proxy_on_request(environment: pytest.MonkeyPatch) -> None:
    """With NO_PROXY, the emulator can be reached beside a proxy."""
    environment.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    environment.setenv("NO_PROXY", "127.0.0.1,localhost")
    async with raw_server(answering(http(RUN))) as server, client_of(server.url) as client:
        assert (await client.runs.get(RunId("run1"))).id == "run1"


async def test_unreachable_proxy_is_an_error(environment: pytest.MonkeyPatch) -> None:
    """A proxy that does not answer is named in the error, and nothing was sent."""
    async with raw_server(answering(http(RUN))) as gone:
        pass
    environment.setenv("HTTP_PROXY", gone.url)
    async with client_of("http://platform.example") as client:
        with pytest.raises(ConnectionLost, match="proxy") as caught:
            await client.runs.get(RunId("run1"))
    assert caught.value.had_no_effect


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 with its key, signed by itself."""
    return certificate_for(tmp_path_factory.mktemp("tls") / "both.pem", "IP:127.0.0.1")


def certificate_for(path: Path, name: str, *, days: str = "2") -> Path:
    """A certificate with its key; it has expired if the days are negative."""
    names, asked = (path.with_suffix(suffix) for suffix in (".names", ".asked"))
    names.write_text(f"subjectAltName={name}\n")
    for words in (
        ("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=local", "-keyout", path,
         "-out", asked),
        ("x509", "-req", "-in", asked, "-signkey", path, "-days", days, "-extfile", names,
         "-out", f"{path}.crt"),
    ):  # fmt: skip
        subprocess.run(["openssl", *words], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


def tls_of(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
async def test_certificate_of_the_environment_is_trusted(
    environment: pytest.MonkeyPatch, certificate: Path, variable: str
) -> None:
    """A platform with a private authority is trusted if the environment names it."""
    environment.setenv(variable, f"{certificate}.crt")
    async with (
        raw_server(answering(http(RUN)), tls=tls_of(certificate)) as server,
        client_of(server.url) as client,
    ):
        assert (await client.runs.get(RunId("run1"))).id == "run1"


async def test_unknown_certificate_is_an_error(
    environment: pytest.MonkeyPatch, certificate: Path
) -> None:
    """A certificate without a known authority is refused, and the error names the setting."""
    async with (
        raw_server(answering(http(RUN)), tls=tls_of(certificate)) as server,
        client_of(server.url) as client,
    ):
        with pytest.raises(ConnectionLost, match="SSL_CERT_FILE") as caught:
            await client.runs.get(RunId("run1"))
    assert caught.value.had_no_effect


@pytest.mark.parametrize(
    ("days", "name", "advice"),
    [("2", "DNS:other.example", "APIFY_API_BASE_URL"), ("-1", "IP:127.0.0.1", "renewed")],
    ids=["another name", "expired"],
)
async def test_certificate_that_no_setting_makes_good_has_other_advice(
    environment: pytest.MonkeyPatch, tmp_path: Path, days: str, name: str, advice: str
) -> None:
    """The authority is known, so the message does not ask for its file."""
    path = certificate_for(tmp_path / "both.pem", name, days=days)
    environment.setenv("SSL_CERT_FILE", f"{path}.crt")
    async with (
        raw_server(answering(http(RUN)), tls=tls_of(path)) as server,
        client_of(server.url) as client,
    ):
        with pytest.raises(ConnectionLost, match=advice) as caught:
            await client.runs.get(RunId("run1"))
    assert "SSL_CERT_FILE" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_proxy_that_asks_for_a_password_says_where_to_write_it(
    environment: pytest.MonkeyPatch, scheme: str
) -> None:
    """A proxy without a tunnel answers like a platform, one with a tunnel refuses it."""
    async with raw_server(answering(http(b"<html>Who?</html>", status=407))) as proxy:
        environment.setenv(f"{scheme.upper()}_PROXY", proxy.url)
        async with client_of(f"{scheme}://platform.example") as client:
            with pytest.raises(ConnectionLost, match="http://user:password@") as caught:
                await client.runs.get(RunId("run1"))
    assert caught.value.had_no_effect


@pytest.mark.parametrize(
    ("is_named", "said"),
    [(True, ["200", "200"]), (False, ["CERTIFICATE_VERIFY_FAILED"] * 2)],
    ids=["known", "unknown"],
)
async def test_command_checks_certificates_that_it_reads_late(
    certificate: Path, *, is_named: bool, said: list[str]
) -> None:
    """A command reads certificates before its first connection, and refuses unknown ones."""
    kept = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    async with raw_server(answering(http(RUN)), tls=tls_of(certificate)) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", QUICK, server.url, f"{certificate}.crt" if is_named else "",
            env=kept,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        out, _ = await process.communicate()
    assert out.decode().split() == said


async def test_redirect_uses_the_right_proxy(environment: pytest.MonkeyPatch) -> None:
    """A redirect to a host in NO_PROXY does not use the proxy, and has no token."""
    async with raw_server(answering(http(b"record"))) as other:

        async def behave(received: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
            writer.write(http(status=302, Location=f"{other.url}/r"))

        async with raw_server(behave) as proxy:
            environment.setenv("HTTP_PROXY", proxy.url)
            environment.setenv("NO_PROXY", "127.0.0.1")
            async with (
                client_of("http://platform.example") as client,
                client.runs.stream_log(RunId("run1")) as download,
            ):
                assert await download.read() == b"record"
    assert "Authorization" not in other.received[0].headers
