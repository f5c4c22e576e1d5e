"""
The pages that the templates read, in a network namespace where the names of public sites lead here.

The templates name apify.com, crawlee.dev and example.com. In the namespace, loopback is the only
network, and /etc/hosts gives it these names. So the templates stay unchanged, and nothing leaves
the machine.
"""

from __future__ import annotations

import fcntl
import socket
import ssl
import struct
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

HOSTS = ("apify.com", "crawlee.dev", "example.com", "www.example.com")
PAGES = 5
_SET_FLAGS, _IS_UP = 0x8914, 1
_LINKS = "".join(f'<p><a href="/page-{number}">Page {number}</a></p>' for number in range(PAGES))
_TEXT = """<!doctype html><html lang="en"><title>{title}</title><h1>{title}</h1><h2>Apify</h2>
<div>Apify</div><a href="/introduction">Get started</a>{links}</html>"""


def in_namespace(folder: Path, command: list[str]) -> list[str]:
    """Returns the command that runs another one in a namespace of its own."""
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost {' '.join(HOSTS)}\n")
    script = f'mount --bind "{hosts}" /etc/hosts && exec "$@"'
    words = ["unshare", "--map-root-user", "--mount", "--net", "sh", "-c", script, "sh"]
    return [*words, *command]


def raise_loopback() -> None:
    """Switches the loopback interface of a new namespace on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", _IS_UP))


def certificate(folder: Path) -> tuple[Path, Path]:
    """Returns a certificate for all the names, and its key."""
    chain, key = folder / "site.pem", folder / "site.key"
    names = ",".join(f"DNS:{name}" for name in HOSTS)
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"]
    words += ["-subj", "/CN=apify.com", "-addext", f"subjectAltName={names}"]
    words += ["-out", str(chain), "-keyout", str(key)]
    subprocess.run(words, check=True, capture_output=True)
    return chain, key


@asynccontextmanager
async def serving_pages(chain: Path, key: Path) -> AsyncIterator[None]:
    """Serves the pages on the ports of HTTP and HTTPS as long as the context is open."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key)
    runner = web.ServerRunner(web.Server(_page))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 80).start()
        await web.TCPSite(runner, "127.0.0.1", 443, ssl_context=context).start()
        yield
    finally:
        await runner.cleanup()


async def _page(request: web.BaseRequest) -> web.Response:
    if request.path == "/robots.txt":
        return web.Response(status=404)
    is_example = request.host.endswith("example.com")
    title = "Example Domain" if is_example else f"Crawlee {request.path}"
    text = _TEXT.format(title=title, links="" if is_example else _LINKS)
    return web.Response(text=text, content_type="text/html")
