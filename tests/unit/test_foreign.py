"""Which part of a text from elsewhere can be shown and stored."""

from __future__ import annotations

import html
import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest
from structlog.typing import EventDict

from orchestrator.apify.models.decoding import read_run
from orchestrator.cli.error_exit import print_error
from orchestrator.errors import ServerFault
from orchestrator.event_log import LOG, configure_logs
from orchestrator.ledger import LedgerReader, create_ledger
from orchestrator.ledger.definitions import job_of, job_values
from orchestrator.model.attempts import Outcome
from orchestrator.model.jobs import JobInput
from orchestrator.model.states import JobStatus
from orchestrator.safe_text import SECRETS, one_line, plain
from orchestrator.specfile.templates.template import compile_template
from orchestrator.store.secret_warnings import SecretWatch
from tests.support.builders import make_batch, make_job
from tests.support.scripted_transport import run_reply

SECRET = 'pa&ss "wörd"/+(!)\n'
PERCENT = re.compile("%..")
HOSTILE = "a\x1b[31mred\x07\x9b2J\u202eevil\u2066\r\nnext\u2028line\x00\x7f"


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps({"key": SECRET}),
        json.dumps({"key": SECRET}, ensure_ascii=False),
        json.dumps({"key": SECRET}).replace("/", "\\/"),
        f"https://shop.example/?key={quote(SECRET, safe='')}",
        f"https://shop.example/{quote(SECRET)}",
        "https://shop.example/?key=" + quote(SECRET, safe="!*'()"),
        PERCENT.sub(lambda found: found[0].lower(), quote(SECRET, safe="")),
        html.escape(SECRET),
        repr(SECRET),
    ],
)
def test_secret_is_replaced_in_every_form(form: str) -> None:
    """A platform may quote the input as text, JSON, a URL or a page."""
    SECRETS.add(SECRET)
    for text in (plain(form), one_line(form, 500), str(ServerFault(form))):
        assert "wörd" not in text
        assert "w\\u00f6rd" not in text
        assert "w%c3%b6rd" not in text.lower()


def test_secrets_that_threads_add_at_once_are_all_known() -> None:
    """Batches of a Python program may begin in several threads."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    names = [f"secret-{number:04}" for number in range(48)]
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(SECRETS.add, names))
    finally:
        sys.setswitchinterval(interval)
    assert plain(" ".join(names)) == " ".join(["[secret]"] * len(names))


def test_secret_is_replaced_before_a_message_is_cut() -> None:
    """A message that was cut cannot end with the beginning of a secret."""
    SECRETS.add("abcdefghijklmnop")
    assert one_line("x" * 490 + " abcdefghijklmnop", 500) == "x" * 490 + " [secret]"


def test_short_values_are_not_secrets() -> None:
    """To redact a value of fewer than 8 characters would spoil messages."""
    SECRETS.add_variables(["SHORT", "LONG", "MISSING"], {"SHORT": "a", "LONG": "12345678"})
    assert plain("a 12345678") == "a [secret]"


def test_foreign_text_cannot_control_a_terminal() -> None:
    """Control characters, direction marks and line breaks become harmless."""
    shown = one_line(HOSTILE, 500)
    assert shown.isprintable()
    assert shown == "a?[31mred??2J?evil? next line??"
    assert plain("one\ntwo\x1b") == "one\ntwo?"


@pytest.mark.parametrize("as_json", [False, True])
def test_log_lines_are_whole_and_clean(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    as_json: bool,
) -> None:
    """One event is one printable line, in the file and on stderr; JSON stays JSON."""
    SECRETS.add("hush-hush-hush")
    sink = configure_logs(level="info", as_json=as_json)
    sink.open_file(tmp_path / "log.jsonl")
    LOG.warning(
        "run_status_changed", status=HOSTILE, warnings={"a": ["hush-hush-hush"]}, path="\udcff"
    )
    sink.close_file()
    line = (tmp_path / "log.jsonl").read_text()
    assert line.count("\n") == 1
    assert line[:-1].isprintable()
    warnings = orjson.loads(line) if "\\udcff" not in line else json.loads(line)
    assert warnings["status"] == HOSTILE
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert shown[:-1].isprintable()
    assert "hush-hush" not in shown + line


def test_outcome_and_run_have_no_secrets() -> None:
    """A status message that quotes the input reaches neither the ledger nor `run.json`."""
    SECRETS.add("hush-hush-hush")
    message = "login failed for hush-hush-hush\n\x1b[2J"
    run = read_run(run_reply(statusMessage=message, options={"x": ["hush-hush-hush"]}).chunks_[0])
    assert run.facts().status_message == "login failed for [secret]\n\x1b[2J"
    assert b"hush" not in run.to_json()
    assert orjson.loads(run.to_json())["options"] == {"x": ["[secret]"]}
    outcome = Outcome(status=JobStatus.FAILED, error=message)
    assert outcome.error == "login failed for [secret] ?[2J"


@pytest.mark.parametrize(
    ("name", "expression"),
    [
        ("SHOP_KEY", "env.SHOP_KEY"),
        ("SHOP_KEY", "env['SHOP_KEY']"),
        ("SHOP_KEY", 'env [ "SHOP_KEY" ] | upper'),
        ("SHOP-KEY", "env['SHOP-KEY']"),
        ("SHOP.KÉY", 'env["SHOP.KÉY"]'),
    ],
)
def test_secrets_of_a_job_are_known_after_it_is_read(
    monkeypatch: pytest.MonkeyPatch, name: str, expression: str
) -> None:
    """A process that resumes a batch has sent no inputs, but redacts their secrets too."""
    monkeypatch.setenv(name, "open-sesame")
    text = f"{{{{ {expression} }}}}"
    assert compile_template(text).env_names == {name}
    body = orjson.dumps({"key": text})
    job = make_job(input=JobInput(body=body, late_paths=(("key",),)))
    job_of(job_values(job)["definition"])
    assert plain("open-sesame") == "[secret]"


def test_secrets_of_a_job_are_known_after_it_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reports list jobs, whose errors another process may have written without the variable."""
    monkeypatch.setenv("SHOP_KEY", "open-sesame")
    given = JobInput(body=b'{"key":"{{ env.SHOP_KEY }}"}', late_paths=(("key",),))
    create_ledger(tmp_path / "ledger.sqlite", make_batch(), [make_job(input=given)])
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        assert reader.listed_one("job-0") is not None
    assert plain("open-sesame") == "[secret]"


@pytest.mark.parametrize("size", [1, 3, 10, 1000])
def test_secret_in_results_causes_one_warning(size: int, logged: list[EventDict]) -> None:
    """However a file is cut into pieces, one warning names the job and the file."""
    SECRETS.add("hush-hush-hush")
    watch = SecretWatch("/out/nightly/1/jobs/shop/records/OUT")
    data = b"x" * 25 + b"hush-hush-hush" + b"y" * 25 + b"hush-hush-hush"
    for start in range(0, len(data), size):
        watch.check(data[start : start + size])
    (entry,) = logged
    assert entry["event"] == "secret_in_results"
    assert (entry["job"], entry["file"]) == ("shop", "records/OUT")


def test_traceback_of_a_bug_has_no_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exception may quote the input; neither its file nor its line shows the secret."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    SECRETS.add("hush-hush-hush")
    assert print_error(ValueError("no number: 'hush-hush-hush' \x1b[2J"), as_json=False) == 70
    (file,) = tmp_path.iterdir()
    texts = file.read_text() + capsys.readouterr().err
    assert "no number: '[secret]' ?[2J" in texts
    assert "hush" not in texts
