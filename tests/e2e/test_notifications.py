"""Notifications about the end of a batch: real HTTP and SMTP servers on loopback receive them."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator.app.setup.signals import LEAVE_SECS
from tests.support.command import (
    BUSY_SECS,
    Command,
    Done,
    ServedPlatform,
    sweep,
    wait_until,
)
from tests.support.receivers import Mailbox, Receiver, mailbox, receiver
from tests.support.tracebacks import take_tracebacks

pytest.importorskip("apprise", reason="the extra `notify` is not installed")

DUE = 'schedule = "@yearly"\ntimezone = "UTC"\nresume_within = "2000d"'
THIS_YEAR = datetime.now(UTC).year
LAST_YEAR = f"{THIS_YEAR - 1}-01-01"
CALL = ("run", "--resume", "s.toml")
SECRETS = ("pass-9d3e", "key-5c1f0a77", "hook-77aa")


@dataclass
class NotifiedCalls:
    """A spec in a folder, with the servers that receive its notifications."""

    command: Command
    receiver: Receiver

    def write(
        self, on: str = "problem", *, jobs: int = 1, urls: str = "", more: str = "", **work: Any
    ) -> None:
        """Writes the spec; its runs take no time."""
        work = {"duration_secs": 0, "items": 1, **work}
        urls = urls or '["{{ env.ALERT_URL }}"]'
        table = f'[notify]\non = "{on}"\nurls = {urls}\nping_url = "{{{{ env.PING_URL }}}}"\n'
        self.command.write("s.toml", sweep("night", jobs, batch=DUE, **work) + table + more)

    def call(self, *words: str, **variables: str) -> Done:
        """Calls the command as a supervisor does; its output and files have no secret."""
        command = replace(self.command, variables={**self.command.variables, **variables})
        done = command.run(*(words or CALL))
        files = [path for path in self.home.rglob("*") if path.is_file()]
        texts = [done.out, done.err, *(path.read_bytes().decode("latin-1") for path in files)]
        assert [part for part in SECRETS for text in texts if part in text] == []
        return done

    @property
    def home(self) -> Path:
        """The folder of the batches."""
        return self.command.folder / "output" / "night"

    def change(self, *statements: str) -> None:
        """Changes the ledger of the newest batch, as if its process had been killed earlier."""
        with closing(sqlite3.connect(self.home / "latest" / "ledger.sqlite")) as db, db:
            for statement in statements:
                db.execute(statement)


@pytest.fixture
def web() -> Iterator[Receiver]:
    """A web server for notifications and pings."""
    with receiver() as state:
        yield state


@pytest.fixture
def mail() -> Iterator[Mailbox]:
    """A mail server."""
    with mailbox() as box:
        yield box


@pytest.fixture
def calls(command: Command, web: Receiver, mail: Mailbox) -> NotifiedCalls:
    """A spec whose notifications go to the servers of this test."""
    urls = {"ALERT_URL": web.notify_url, "PING_URL": web.url, "MAIL_URL": mail.notify_url}
    return NotifiedCalls(replace(command, variables={**command.variables, **urls}), web)


def test_success_is_pinged_and_a_done_batch_is_not_announced_again(calls: NotifiedCalls) -> None:
    """The switch gets one ping for the start and one for the end, and no notification is sent."""
    calls.write()
    assert [calls.call().code, calls.call().code] == [0, 0]
    assert (calls.receiver.pings, calls.receiver.titles) == (["start", ""], [])


def test_failure_is_mailed_with_what_happened_and_what_to_do(
    calls: NotifiedCalls, mail: Mailbox
) -> None:
    """The mail and the webhook name the failures and the command that repeats them."""
    calls.write(jobs=3, urls='["{{ env.MAIL_URL }}", "{{ env.ALERT_URL }}"]', outcome="FAILED")
    assert calls.call().code == 1
    (sent,) = mail.mails
    body = sent.get_payload(decode=True).decode()  # type: ignore[union-attr]  # of one part
    assert sent["Subject"] == "night: 3 of 3 jobs failed"
    assert "3 FAILED" in body
    assert "The simulated Actor failed" in body
    assert f"orchestrator retry {(calls.home / 'latest').resolve()}" in body
    (hook,) = calls.receiver.notifications
    assert (hook["title"], hook["type"]) == ("night: 3 of 3 jobs failed", "failure")
    assert calls.receiver.pings == ["start", "1"]


def test_end_without_failed_jobs_says_what_is_not_whole(calls: NotifiedCalls) -> None:
    """Exit code 1 may come from an item that gives no job, or from results that are not merged."""
    more = (
        '[[jobs]]\nname = "of-{{ n }}"\nactor = "orchestrator/simulated"\ninput = { items = 1 }\n'
    )
    rows = 'matrix = { rows = { needs = "job-1", fields = { n = "number" } } }\n'
    calls.write(more=more + rows)
    assert calls.call().code == 1
    (left_out,) = calls.receiver.notifications
    assert left_out["title"] == "night: 1 of 1 jobs succeeded, but the batch is not whole"
    assert "of-{{ n }}: 1 item gives no job: item 1 of job-1 has no field" in left_out["message"]
    report = (calls.home / "latest" / "report.html").read_text()
    assert "1 item gives no job: item 1 of job-1 has no field" in report
    assert "1 item gives no job" in calls.command.run("status", "night").out
    shutil.rmtree(calls.home)
    calls.write(more="[results]\nnew_only = true\nunique = ['index']\n")
    calls.home.mkdir()
    (calls.home / ".seen").touch()
    assert calls.call().code == 1
    _, not_merged = calls.receiver.notifications
    assert not_merged["title"] == left_out["title"]
    assert "log.jsonl" in not_merged["message"]
    assert f"orchestrator collect {calls.home}" in not_merged["message"]


def test_change_compares_with_the_last_batch_of_the_series(calls: NotifiedCalls) -> None:
    """Only the first of equal failures is announced, also after earlier batches are removed."""
    codes = []
    for year, outcome in enumerate(["SUCCEEDED", "FAILED", "FAILED", "SUCCEEDED"], start=2020):
        calls.write("change", more="[retention]\nkeep_last = 1\n", outcome=outcome)
        codes.append(calls.call(*CALL, "--date", f"{year}-01-01").code)
    assert codes == [0, 1, 1, 0]
    assert calls.receiver.titles == ["night: 1 of 1 jobs failed", "night: 1 of 1 jobs succeeded"]
    last = calls.receiver.notifications[-1]["message"]
    assert "failed in the last batch, but not now: job-1" in last
    assert calls.receiver.pings == ["start", "", "start", "1", "start", "1", "start", ""]


@pytest.mark.parametrize(
    ("what", "code", "words"),
    [
        ("token", 2, "APIFY_TOKEN"),
        ("mistake", 2, "max_run"),
        ("setting", 2, "ORCHESTRATOR_MAX_RUNS"),
        ("not-toml", 2, "is not valid TOML"),
    ],
)
def test_batch_that_cannot_begin_is_announced(
    calls: NotifiedCalls, what: str, code: int, words: str
) -> None:
    """No person has to notice that nothing happened: a notification says it."""
    calls.write()
    variables = {}
    spec = calls.command.folder / "s.toml"
    match what:
        case "token":
            variables = {"APIFY_TOKEN": ""}
        case "mistake":
            spec.write_text(spec.read_text().replace("timezone", "max_run = 1\ntimezone"))
        case "setting":
            variables = {"ORCHESTRATOR_MAX_RUNS": "many"}
        case "not-toml":
            # The spec cannot be read, so only the environment says who is notified.
            spec.write_text("[batch\n")
            receiver = calls.receiver
            variables = {"ORCHESTRATOR_NOTIFY_URLS": receiver.notify_url}
            variables["ORCHESTRATOR_PING_URL"] = receiver.url
    done = calls.call(*CALL, **variables)
    assert done.code == code, done.err
    (sent,) = calls.receiver.notifications
    assert words in sent["message"]
    assert calls.receiver.pings == [str(code)]


def test_call_that_ends_with_4_announces_nothing(calls: NotifiedCalls) -> None:
    """The process that holds the occurrence announces its end."""
    calls.write("always", duration_secs=8)
    first = calls.command.start(*CALL)
    wait_until(lambda: calls.receiver.pings == ["start"], "the start")
    assert calls.command.run(*CALL).code == 4
    assert calls.command.run("run", "s.toml").code == 4
    assert calls.receiver.pings == ["start"]
    first.communicate()
    assert calls.receiver.pings == ["start", ""]
    assert len(calls.receiver.titles) == 1


def test_end_that_a_killed_process_did_not_announce_is_announced_once(calls: NotifiedCalls) -> None:
    """The next call, which finds the done batch, sends the announcement and starts nothing."""
    calls.write(outcome="FAILED")
    killed = "tests.support.stumbling:main_killed_before_it_announces"
    assert replace(calls.command, program=killed).run(*CALL).code == -signal.SIGKILL
    assert (calls.receiver.pings, calls.receiver.titles) == (["start"], [])
    assert [calls.call().code, calls.call().code] == [1, 1]
    assert (calls.receiver.pings, len(calls.receiver.titles)) == (["start", "1"], 1)


def test_restarts_by_a_supervisor_send_one_notification(calls: NotifiedCalls) -> None:
    """A refused token is announced once for all restarts; the recovery is pinged."""
    calls.write()
    assert [calls.call(*CALL, APIFY_TOKEN="not-a-token").code for _ in range(2)] == [5, 5]
    assert calls.call().code == 0
    assert len(calls.receiver.titles) == 1
    assert calls.receiver.pings == ["5", "start", ""]


def test_resume_with_nothing_to_do_is_pinged_and_not_notified_again(calls: NotifiedCalls) -> None:
    """The switch is told of the end of each start; the budget still stops the batch."""
    calls.write(jobs=2, cost_usd=0.5)
    spec = calls.command.folder / "s.toml"
    batch = "max_cost_usd = 0.5\n[defaults]\nmax_total_charge_usd = 0.5\n[[jobs]]"
    spec.write_text(spec.read_text().replace("[[jobs]]", batch, 1))
    assert [calls.call("run", "s.toml").code, calls.call("resume", "night").code] == [3, 3]
    assert calls.receiver.pings == ["start", "3", "start", "3"]
    assert len(calls.receiver.titles) == 1


def test_batch_that_is_given_up_is_named_in_a_notification_once(calls: NotifiedCalls) -> None:
    """After two resumes, only a person can resume it, and the notification says how."""
    calls.write()
    calls.call(*CALL, "--date", LAST_YEAR)
    folder = (calls.home / "latest").resolve()
    calls.change(
        "UPDATE batch SET state = 'open', exit_code = NULL, completed_at = NULL",
        "INSERT INTO later_resumes VALUES ('2025-01-01T00:00:00+00:00', '')",
        "INSERT INTO later_resumes VALUES ('2025-01-02T00:00:00+00:00', '')",
    )
    assert [calls.call().code, calls.call().code] == [0, 0]
    (sent,) = calls.receiver.notifications
    assert f"orchestrator resume {folder}" in sent["message"]


def test_longest_wait_is_announced_once(calls: NotifiedCalls) -> None:
    """An earlier batch that is live for too long is announced once, also after restarts."""
    calls.write(duration_secs=3600)
    first = calls.command.start(*CALL, "--date", LAST_YEAR)
    wait_until(lambda: calls.receiver.pings == ["start"], "the first batch")
    for _ in range(2):
        assert calls.call(*CALL, ORCHESTRATOR_LOCK_WAIT_SECS="0.2").code == 5
    (sent,) = calls.receiver.notifications
    assert "lock_wait_secs" in sent["message"]
    first.kill()
    first.communicate()


def test_notifiers_that_fail_are_only_warnings(calls: NotifiedCalls, mail: Mailbox) -> None:
    """The batch and its exit code stay the same, and each reason is shown without a secret."""
    calls.receiver.status = 403
    mail.refusal = "554 no mail today"
    gone = "json://someone:pass-9d3e@127.0.0.1:9/hook-77aa"
    wrong = "mailtoo://someone:pass-9d3e@hook-77aa"
    urls = (f'"{{{{ env.{name} }}}}"' for name in ("ALERT_URL", "MAIL_URL", "WRONG", "GONE"))
    # Long enough for the answer to the first ping, which the end of a batch does not wait for.
    calls.write("always", urls=f"[{', '.join(urls)}]", duration_secs=2)
    done = calls.call(*CALL, WRONG=wrong, GONE=gone)
    assert done.code == 0, done.err
    lines = sorted(line for line in done.err.splitlines() if "failed" in line)
    reasons = [
        "url=1 (json) error=Failed to send JSON POST notification: error=403",
        "url=2 (mailto) error=", "url=3 (mailtoo) error=this is not a valid URL",
        "url=4 (json) error=", "answered with HTTP 403", "answered with HTTP 403",
    ]  # fmt: skip
    assert len(lines) == len(reasons)
    assert all(reason in line for line, reason in zip(lines, reasons, strict=True)), lines
    assert "no mail today" in lines[1]
    assert "notification_failed" in (calls.home / "latest" / "log.jsonl").read_text()


def test_notifier_that_hangs_does_not_delay_the_command(calls: NotifiedCalls) -> None:
    """After `notify_timeout_secs` the command exits with the code of its batch."""
    calls.receiver.hangs = True
    calls.write("always")
    began = time.monotonic()
    done = calls.call(*CALL, ORCHESTRATOR_NOTIFY_TIMEOUT_SECS="1")
    assert done.code == 0, done.err
    assert time.monotonic() - began < 1 + BUSY_SECS
    assert "did not answer within 1 s" in done.err
    assert "it may have arrived" in done.err


def test_signal_is_announced_and_ends_in_time(calls: NotifiedCalls) -> None:
    """After a signal, a notifier that hangs is waited for no longer than anything else."""
    calls.write(duration_secs=3600)
    process = calls.command.start(*CALL)
    wait_until(lambda: calls.receiver.pings == ["start"], "the start")
    calls.receiver.hangs = True
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LEAVE_SECS + BUSY_SECS)
    assert process.code == 143
    assert calls.receiver.pings == ["start", "143"]
    assert calls.receiver.titles == ["night: interrupted after 0 of 1 jobs"]


def test_signal_during_an_announcement_does_not_prevent_it(calls: NotifiedCalls) -> None:
    """The switch hears of the end that is recorded as announced, and a failure is notified."""
    calls.write(outcome="FAILED")
    signalled = replace(calls.command, program="tests.support.signalled_call:main_signalled")
    since = "orchestrator.app.notifications.announcer:Announcer.announce"
    done = signalled.run(since, "0", *CALL)
    assert (done.code, calls.receiver.pings) == (1, ["start", "1"])
    assert calls.receiver.titles == ["night: 1 of 1 jobs failed"]


def test_wrong_argument_is_announced(calls: NotifiedCalls) -> None:
    """A line of cron with a misspelt option would otherwise start nothing, night after night."""
    calls.write()
    assert calls.call("run", "s.toml", "--resmue").code == 2
    assert calls.receiver.pings == ["2"]
    (sent,) = calls.receiver.notifications
    assert "unknown option --resmue" in sent["message"]


def test_loss_of_the_output_folder_is_announced(calls: NotifiedCalls) -> None:
    """Nothing on the disk is needed to say that the disk is gone."""
    calls.write(duration_secs=3)
    process = calls.command.start(*CALL)
    wait_until(lambda: calls.receiver.pings == ["start"], "the start")
    wait_until(lambda: (calls.home / "latest" / "log.jsonl").exists(), "the batch")
    shutil.rmtree(calls.command.folder / "output")
    process.communicate()
    assert process.code == 3
    assert calls.receiver.pings == ["start", "3"]
    (sent,) = calls.receiver.notifications
    assert "start a new batch" in sent["message"]


def test_retry_that_succeeds_is_pinged(calls: NotifiedCalls) -> None:
    """The switch shows that a person has repaired the batch."""
    calls.write(jobs=2, fail_attempts=1)
    calls.call()
    assert calls.call("retry", "night").code == 0
    assert calls.receiver.pings == ["start", "1", "start", ""]


def test_retry_in_which_another_job_fails_is_announced(calls: NotifiedCalls) -> None:
    """As many failed jobs as before are other news, if they are other jobs."""
    more = (
        '[[jobs]]\nname = "of-{{ i }}"\nactor = "orchestrator/simulated"\n'
        'input = { outcome = "FAILED" }\n'
        'matrix = { rows = { needs = "job-1", fields = { i = "index" } } }\n'
    )
    calls.write(more=more, fail_attempts=1, note="its own")
    calls.call()
    assert calls.command.run("retry", "night").code == 1
    _, second = calls.receiver.notifications
    assert second["title"] == "night: 1 of 2 jobs failed"


def test_each_day_of_a_backfill_is_announced_and_the_worst_code_stays(calls: NotifiedCalls) -> None:
    """A later success does not hide the failure of an earlier day."""
    calls.write(outcome="{{ 'FAILED' if date == '2020-01-01' else 'SUCCEEDED' }}")
    days = ("--dates", "2020-01-01..2020-01-02")
    assert calls.call("run", "s.toml", *days).code == 1
    assert calls.receiver.pings == ["start", "1", "start", "", "1"]


def test_bug_is_announced_with_70(calls: NotifiedCalls) -> None:
    """An unexpected error is announced too."""
    calls.write()
    command = replace(calls.command, program="tests.support.stumbling:main_stumbling")
    assert command.run(*CALL).code == 70
    assert take_tracebacks()
    assert calls.receiver.pings[-1] == "70"
    assert "bug of orchestrator" in calls.receiver.notifications[0]["message"]


def test_missing_library_is_refused_before_money_is_spent(
    calls: NotifiedCalls, platform: ServedPlatform
) -> None:
    """Otherwise no notification could be sent; the switch gets the failure."""
    calls.write()
    before = len(platform.runs())
    command = replace(calls.command, program="tests.support.stumbling:main_without_apprise")
    for words in (("validate", "s.toml"), CALL):
        done = command.run(*words)
        assert done.code == 2
        assert "pip install 'apify-batch[notify]'" in done.err
    assert (calls.receiver.pings, len(platform.runs())) == (["2"], before)
