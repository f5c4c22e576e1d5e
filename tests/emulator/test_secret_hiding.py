"""The owner's tokens, which no Actor may read."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
from pydantic import SecretStr

from apify_emulator import read_address
from tests.emulator.sample_actors import write_actor
from tests.support.command import LONGEST_SECS

SNOOP = """
    import socket
    found = {}
    for pid in os.listdir("/proc"):
        for name in ("environ", "cmdline"):
            try:
                found[pid + " " + name] = open(f"/proc/{pid}/{name}", "rb").read().decode("latin-1")
            except OSError:
                pass
    for folder, _, names in os.walk(json.loads(api("GET", STORE + "/records/INPUT"))["data"]):
        for name in names:
            place = os.path.join(folder, name)
            try:
                found[place] = open(place, "rb").read().decode("latin-1")
            except OSError:
                pass
    for line in open("/proc/net/unix"):
        name = line.split()[-1]
        if name.startswith("@apify-emulator-"):
            # Other emulators on this machine can be closing, or stopped.
            try:
                with socket.socket(socket.AF_UNIX) as asking:
                    asking.settimeout(10)
                    asking.connect("\\0" + name[1:])
                    found[name] = asking.recv(4096).decode()
            except OSError:
                pass
    push([{"place": place, "text": text} for place, text in found.items()])
"""


SERVE = """
import sys
from orchestrator.cli.main import main
main(["platform", "serve", "--actors", sys.argv[1], "--data", sys.argv[2], "--token", sys.argv[3]])
"""


def test_owners_tokens_are_not_where_an_actor_can_read_them(tmp_path: Path, envs_dir: Path) -> None:
    """They are in no file, variable or argument of a process, and the socket does not give them."""
    actors, data = write_actor(tmp_path / "actors", "snoop", SNOOP), tmp_path / "data"
    token, account = f"own-{secrets.token_hex(8)}", f"real-{secrets.token_hex(8)}"
    environment = {**os.environ, "APIFY_TOKEN": account, "XDG_CACHE_HOME": str(envs_dir)}
    words = [sys.executable, "-c", SERVE, str(actors), str(data), token]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE) as served:
        try:
            assert served.stdout is not None
            url = json.loads(served.stdout.readline())["url"]
            assert read_address(data) == (url, SecretStr(token))
            body = json.dumps({"data": str(data)}).encode()
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            place = f"{url}/v2/actors/~snoop/run-sync-get-dataset-items"
            asked = urllib.request.Request(place, body, headers)  # noqa: S310 - on loopback
            with urllib.request.urlopen(asked, timeout=LONGEST_SECS) as answer:  # noqa: S310 - on loopback
                items = json.load(answer)
        finally:
            served.terminate()
    assert {f"{served.pid} environ", f"{served.pid} cmdline"} <= {item["place"] for item in items}
    assert any(item["place"].startswith("@apify-emulator-") for item in items)
    assert not [item["place"] for item in items if token in item["text"] or account in item["text"]]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user for a moment")
def test_address_of_another_user_is_not_believed(tmp_path: Path) -> None:
    """Another user of the machine can take the name of the socket, and gets no input of a run."""
    forged = json.dumps({"url": "http://127.0.0.1:1", "token": "forged-token"}).encode()
    digest = hashlib.sha256(os.fsencode(os.path.realpath(tmp_path))).hexdigest()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0apify-emulator-{digest[:32]}")
        listener.settimeout(10)
        # The system shows who listens as of this call.
        os.seteuid(65534)
        try:
            listener.listen()
        finally:
            os.seteuid(0)

        def answer() -> None:
            peer, _ = listener.accept()
            with peer, suppress(OSError):
                peer.sendall(forged)

        thread = Thread(target=answer)
        thread.start()
        assert read_address(tmp_path) is None
        thread.join()
