"""
Thirty nights without a person, on a shifted clock.

There are failures, kills, a platform that is away, a full disk, a wrong token, a mistake in the
spec, and notifiers that refuse and hang. The short form plays three nights. The long form
(`ORCHESTRATOR_SOAK=1`) also writes its table to the file that `ORCHESTRATOR_SOAK_PAGE` names.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.clock import NIGHT, at, find_library
from tests.support.command import Command, ServedPlatform, start_platform, wait_until
from tests.support.receivers import Mailbox, Receiver, mailbox, receiver
from tests.support.scheduled_calls import CALL, DAY, HOUR, SCHEDULE, Calls

pytestmark = pytest.mark.skipif(
    find_library() is None, reason="Debian's package faketime is not installed"
)
pytest.importorskip("apprise", reason="the extra `notify` is not installed")

PAGE = Path(__file__).parents[1] / "data" / "thirty_nights.md"
JOBS = 3
KEPT = 8
TABLES = (
    '[notify]\nurls = ["{{ env.ALERT_URL }}", "{{ env.MAIL_URL }}"]\n'
    'ping_url = "{{ env.PING_URL }}"\n'
    f"[retention]\nkeep_last = {KEPT}\n"
)
SMALL_FILES = "tests.support.small_files:main_with_small_files"
INTERRUPTED = f"night: interrupted after 0 of {JOBS} jobs"
FAILED = f"night: {JOBS} of {JOBS} jobs failed"
UNREACHABLE = "night: the platform cannot be reached, or refuses the token"


class Soak(Calls):
    """
    Calls with a platform that can stop, and with servers that receive notifications.

    Attributes:
        web, mail: receive the notifications; `web` the pings too.
        now: when the calls of the current night begin.
    """

    def __init__(self, folder: Path, web: Receiver, mail: Mailbox) -> None:
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            self._port = str(free.getsockname()[1])
        self._data = folder / "platform"
        self.web, self.mail, self.now = web, mail, NIGHT
        self._process, platform = self._start()
        urls = {"ALERT_URL": web.notify_url, "MAIL_URL": mail.notify_url, "PING_URL": web.url}
        urls["ORCHESTRATOR_NOTIFY_TIMEOUT_SECS"] = "30"
        super().__init__(folder, platform, urls)

    def _start(self) -> tuple[object, ServedPlatform]:
        return start_platform(self._data, "--port", self._port, "--token", "made-up-token")

    def stop(self) -> None:
        """Stops the platform."""
        self._process.terminate()  # type: ignore[attr-defined]
        self._process.communicate()  # type: ignore[attr-defined]

    def begin_again(self) -> None:
        """Starts the platform again, with all its data."""
        self._process, self.platform = self._start()

    def run(self, instant: datetime | None = None, **variables: str) -> int:
        """Calls the command at the night's time, or at another instant."""
        command = replace(self.command, variables={**self.command.variables, **variables})
        return at(command, instant or self.now).run(*CALL).code

    def cut_now(self, number: int) -> int:
        """Calls the command, and sends a signal while its runs are live, after the first ping."""
        pings = len(self.web.pings)
        # The ping is sent beside the first starts, which do not wait for it.
        return self.cut(
            self.now, number, runs=self.runs + 1, also=lambda: len(self.web.pings) > pings
        )

    @property
    def folders(self) -> list[Path]:
        """The folders of all batches."""
        home = self.command.folder / "output" / "night"
        return sorted(path for path in home.glob("2*") if not path.is_symlink())

    @property
    def size_kbytes(self) -> int:
        """The size of all batches together."""
        files = (path for folder in self.folders for path in folder.rglob("*") if path.is_file())
        return sum(path.stat().st_size for path in files) // 1000


def quiet(soak: Soak) -> list[int]:
    return [soak.run()]


def failing(soak: Soak) -> list[int]:
    soak.write(JOBS, more=TABLES, outcome="FAILED")
    return [soak.run()]


def killed(soak: Soak) -> list[int]:
    soak.write(JOBS, more=TABLES, duration_secs=2)
    return [soak.cut_now(signal.SIGKILL)]


def killed_and_restarted(soak: Soak) -> list[int]:
    return [*killed(soak), soak.run(soak.now + HOUR)]


def terminated(soak: Soak) -> list[int]:
    soak.write(JOBS, more=TABLES, duration_secs=20)
    code = soak.cut_now(signal.SIGTERM)
    return [code]


def away_and_restarted(soak: Soak) -> list[int]:
    soak.stop()
    code = soak.run(ORCHESTRATOR_PLATFORM_AWAY_SECS="0")
    soak.begin_again()
    return [code, soak.run(soak.now + HOUR)]


def token_refused(soak: Soak) -> list[int]:
    return [soak.run(APIFY_TOKEN="not-a-token"), soak.run(soak.now + HOUR)]


def disk_full(soak: Soak) -> list[int]:
    soak.write(JOBS, more=TABLES, items=20_000)
    full = replace(soak.command, program=SMALL_FILES)
    done = at(full, soak.now).run("300000", *CALL)
    return [done.code, soak.run(soak.now + HOUR)]


def mistake(soak: Soak) -> list[int]:
    soak.write(JOBS, f"{SCHEDULE}\nmax_run = 2", more=TABLES)
    return [soak.run()]


def called_twice(soak: Soak) -> list[int]:
    soak.write(JOBS, more=TABLES, duration_secs=4)
    before = soak.runs
    first = at(soak.command, soak.now).start(*CALL)
    wait_until(lambda: soak.runs > before, "the first call")
    second = soak.run()
    first.communicate()
    return [first.code, second]


def mail_refused(soak: Soak) -> list[int]:
    soak.mail.refusal = "554 no mail today"
    return failing(soak)


def notifiers_hang(soak: Soak) -> list[int]:
    soak.web.hangs = True
    soak.write(JOBS, more=TABLES, outcome="FAILED")
    return [soak.run(ORCHESTRATOR_NOTIFY_TIMEOUT_SECS="3")]


@dataclass(frozen=True, kw_only=True)
class Story:
    """
    The events of a night, and the expected results.

    Attributes:
        words: for the table.
        codes: of its calls, in their order.
        titles: of its notifications.
        pings: to the switch.
        batches: how many batches it creates.
    """

    words: str
    play: Callable[[Soak], list[int]]
    codes: Sequence[int] = (0,)
    titles: Sequence[str] = ()
    pings: Sequence[str] = ("start", "")
    batches: int = 1


QUIET = Story(words="nothing special", play=quiet)
FAILING = Story(
    words="all jobs fail", play=failing, codes=[1], titles=[FAILED], pings=["start", "1"]
)
KILLED = Story(words="killed (SIGKILL)", play=killed, codes=[-9], pings=["start"])
RESTARTED = Story(
    words="killed (SIGKILL), restarted after an hour",
    play=killed_and_restarted,
    codes=[-9, 0],
    pings=["start", "start", ""],
)
TERMINATED = Story(
    words="SIGTERM", play=terminated, codes=[143], titles=[INTERRUPTED], pings=["start", "143"]
)
AWAY = Story(
    words="the platform is away for an hour",
    play=away_and_restarted,
    codes=[5, 0],
    titles=[UNREACHABLE],
    pings=["5", "start", ""],
)
TOKEN = Story(
    words="the token is refused for an hour",
    play=token_refused,
    codes=[5, 0],
    titles=[UNREACHABLE],
    pings=["5", "start", ""],
)
DISK = Story(
    words="the disk is full for an hour",
    play=disk_full,
    codes=[3, 0],
    titles=[f"night: stopped early after 0 of {JOBS} jobs"],
    pings=["start", "3", "start", ""],
)
MISTAKE = Story(
    words="a mistake in the spec",
    play=mistake,
    codes=[2],
    titles=["night: nothing was started (exit code 2)"],
    pings=["2"],
    batches=0,
)
TWICE = Story(words="called twice at once", play=called_twice, codes=[0, 4])
REFUSED = replace(FAILING, words="all jobs fail, the mail server refuses", play=mail_refused)
HANGING = replace(FAILING, words="all jobs fail, the web server hangs", play=notifiers_hang)

SHORT = (FAILING, KILLED, QUIET)
LONG = (
    QUIET, QUIET, FAILING, FAILING, QUIET, KILLED, QUIET, RESTARTED, QUIET, TERMINATED,
    QUIET, AWAY, QUIET, DISK, QUIET, MISTAKE, QUIET, TOKEN, KILLED, QUIET,
    TWICE, REFUSED, HANGING, QUIET, KILLED, KILLED, QUIET, AWAY, RESTARTED, QUIET,
)  # fmt: skip


@dataclass
class Chronicle:
    """
    The results of each night.

    Attributes:
        rows: of the table.
        served: the ids of the batches of each occurrence.
        codes: the last exit code of each batch, by its id.
    """

    rows: list[str] = field(default_factory=list)
    served: dict[str, set[str]] = field(default_factory=dict)
    codes: dict[str, int | None] = field(default_factory=dict)

    def note(self, command: Command) -> None:
        """Reads the batches that exist now."""
        for batch in command.run("list", "--json").json["batches"]:
            self.served.setdefault(batch["occurrence"][:10], set()).add(batch["id"])
            self.codes[batch["id"]] = batch["exit_code"]


@pytest.fixture
def soak(tmp_path: Path) -> Iterator[Soak]:
    """A separate platform, and servers that receive the notifications."""
    with receiver() as web, mailbox() as mail:
        soak = Soak(tmp_path, web, mail)
        yield soak
        soak.stop()


def test_nights_without_a_person(soak: Soak) -> None:
    """Each night has a batch or a reason, people are notified, and the disk stays free."""
    is_long = "ORCHESTRATOR_SOAK" in os.environ
    stories = LONG if is_long else SHORT
    chronicle = Chronicle()
    for number, story in enumerate(stories):
        soak.now = NIGHT + number * DAY
        soak.write(JOBS, more=TABLES)
        _play(soak, story, chronicle)
    for number, story in enumerate(stories):
        day = (NIGHT + number * DAY).date().isoformat()
        assert len(chronicle.served.get(day, ())) == story.batches, f"{day}: {story.words}"
    made = sum(story.batches for story in stories)
    # Each job of each batch has had one run: no start was repeated, and none was forgotten.
    assert soak.runs == made * JOBS
    ended = {1 if story.codes == [1] else 0 for story in stories}
    assert set(chronicle.codes.values()) == ended
    listed = soak.command.run("list").out
    _check_list(listed, kept=min(made, KEPT))
    if page := os.environ.get("ORCHESTRATOR_SOAK_PAGE"):
        facts = {"nights": len(stories), "batches": made, "jobs": JOBS, "kept": KEPT}
        rows = "\n".join(chronicle.rows)
        text = PAGE.read_text().format(**facts, runs=soak.runs, rows=rows, listed=listed.strip())
        Path(page).write_text(text)


def _play(soak: Soak, story: Story, chronicle: Chronicle) -> None:
    """Plays one night, and checks the notifications and the disk."""
    titles, pings, mails = len(soak.web.titles), len(soak.web.pings), len(soak.mail.mails)
    codes = story.play(soak)
    received, pinged = soak.web.titles[titles:], soak.web.pings[pings:]
    day = f"{soak.now:%Y-%m-%d}"
    assert codes == list(story.codes), f"{day}: {story.words}"
    assert received == list(story.titles), f"{day}: {story.words}"
    assert pinged == list(story.pings), f"{day}: {story.words}"
    mailed = [] if soak.mail.refusal else list(story.titles)
    assert [mail["Subject"] for mail in soak.mail.mails[mails:]] == mailed
    soak.web.hangs, soak.mail.refusal = False, None
    soak.web.released.set()
    chronicle.note(soak.command)
    assert len(soak.folders) <= KEPT + 2, "interrupted batches stay beyond [retention]"
    cells = (
        day,
        story.words,
        ", ".join(map(str, codes)),
        "; ".join(received) or "none",
        ", ".join(signal or "success" for signal in pinged),
        str(len(soak.folders)),
        f"{soak.size_kbytes:,}",
    )
    chronicle.rows.append(f"| {' | '.join(cells)} |")


def _check_list(listed: str, kept: int) -> None:
    """`list` has a line for each batch, the newest first, that fits a screen."""
    rows = [line for line in listed.splitlines() if line.startswith("night ")]
    assert len(rows) == kept
    occurrences = [row.split()[2] for row in rows]
    assert occurrences == sorted(occurrences, reverse=True)
    assert max(map(len, rows)) <= 180
