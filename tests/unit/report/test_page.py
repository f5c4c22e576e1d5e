"""What the page of a batch shows, and that no text of an Actor can become part of it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import pytest

from orchestrator.model.batches import BatchState
from orchestrator.model.ids import RunId
from orchestrator.model.jobs import Target, TargetKind
from orchestrator.model.progress import Progress
from orchestrator.model.selection import Choice
from orchestrator.model.states import JobStatus
from orchestrator.report.failures import Failures
from orchestrator.report.page.batch_page import BatchPage
from orchestrator.report.page.comparison import Usual, figures_of
from orchestrator.report.page.document import report_document
from orchestrator.report.page.job_rows import DEARER, FEWER, SLOWER, JobTable, shown_job
from orchestrator.safe_text import SECRETS
from tests.support.builders import NOON, make_batch
from tests.support.listed_jobs import (
    ended_batch,
    listed_attempt,
    listed_job,
    make_page,
    make_totals,
)

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&<!--"
TEMPLATES = files("orchestrator.report.page").joinpath("templates")
LEAST_FOR_TEXT = 4.5
LEAST_FOR_SHAPES = 3.0


def _text(page: BatchPage) -> str:
    return b"".join(report_document(page)).decode()


def _data(page: BatchPage) -> Any:
    [text] = re.findall(r'id="data">(.*?)</script>', _text(page), re.DOTALL)
    return json.loads(text)


class _Elements(HTMLParser):
    """The elements of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_page_has_no_element_from_a_hostile_text() -> None:
    """A text that closes a script or opens an image stays text, in all fields of an Actor."""
    job = listed_job(
        status=JobStatus.FAILED,
        error=HOSTILE,
        target=Target(kind=TargetKind.ACTOR, id=HOSTILE),
        params={HOSTILE: HOSTILE, "list": [HOSTILE]},
        attempts=(listed_attempt(run_id=RunId(HOSTILE), outcome="FAILED", error=HOSTILE),),
    )
    more = [listed_job(seq, params={HOSTILE: f"{HOSTILE}{seq % 2}"}) for seq in range(1, 5)]
    failures = Failures(
        target=job.target, status=job.status, exit_code=1, message=HOSTILE, jobs=2,
        example=job.key, example_seq=0, attempts=2, run_id=RunId(f"javascript:{HOSTILE}"),
        log_end=(HOSTILE,), traceback_end=None,
    )  # fmt: skip
    page = make_page(
        [job, *more],
        batch=replace(ended_batch(stop_reason=HOSTILE), platform="https://api.apify.com"),
        failures=[failures, replace(failures, traceback_end=HOSTILE)],
        problems=[HOSTILE],
        folder=HOSTILE,
    )
    elements = _Elements(_text(page)).found
    assert [attributes for name, attributes in elements if name == "script"] == [
        {"type": "application/json", "id": "data"},
        {},
    ]
    assert not [name for name, _ in elements if name in {"img", "iframe", "object", "embed"}]
    assert not [name for _, given in elements for name in given if name.startswith("on")]
    links = [given["href"] or "" for name, given in elements if name == "a"]
    assert {link.partition("//")[0] for link in links if "/" in link} == {"https:", "jobs/job-0/"}
    assert _data(page)["errors"] == [HOSTILE]


def test_page_allows_its_own_script_and_style_only() -> None:
    """The policy has the digests of the page's parts, so a browser refuses all others."""
    text = _text(make_page([listed_job()]))
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src 'none';")
    for name, pattern in (("style", "<style>(.*?)</style>"), ("script", "<script>(.*?)</script>")):
        [content] = re.findall(pattern, text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert "connect-src" not in policy


def test_page_shows_no_secret_and_no_control_character() -> None:
    """A secret that an Actor repeats, and a mark that turns the direction of text, are replaced."""
    SECRETS.add("hunter2-hunter2")
    said = "hunter2-hunter2 \u202egnp.exe\x1b[31m"
    job = listed_job(
        status=JobStatus.FAILED,
        error=said,
        params={"x": said},
        target=Target(kind=TargetKind.ACTOR, id=f"me/{said}"),
        attempts=(listed_attempt(run_id=RunId(f"run{said}")),),
    )
    text = _text(make_page([job], batch=ended_batch(stop_reason=said), problems=[said]))
    assert "hunter2" not in text
    assert not {"\u202e", "\x1b"} & set(
        text + json.dumps(_data(make_page([job])), ensure_ascii=False)
    )
    assert "[secret] ?gnp.exe?[31m" in text


def test_page_loads_nothing_from_other_machines() -> None:
    """The file is complete: no element of it loads anything."""
    elements = _Elements(_text(make_page([listed_job()]))).found
    assert not [given for _, given in elements if "src" in given]
    assert [given["href"] for name, given in elements if name == "link"] == ["data:,"]


def test_page_begins_with_the_outcome() -> None:
    """The first sentence says how many jobs failed, or that all succeeded."""
    jobs = {JobStatus.SUCCEEDED: 188, JobStatus.FAILED: 10, JobStatus.REJECTED: 2}
    outcome = make_page([], totals=make_totals(jobs=jobs)).outcome
    assert (outcome.headline, outcome.tone) == ("12 of 200 jobs failed", "bad")
    fine = make_page([], totals=make_totals(jobs={JobStatus.SUCCEEDED: 200})).outcome
    assert (fine.headline, fine.tone) == ("All 200 jobs succeeded", "good")


def test_page_of_an_interrupted_batch_names_the_command_that_continues_it() -> None:
    """A reader sees that a batch stopped, why, and which command to type."""
    batch = replace(ended_batch(stop_reason="the budget is spent"), state=BatchState.STOPPED)
    jobs = {JobStatus.SUCCEEDED: 3, JobStatus.WAITING: 1}
    outcome = make_page([], batch=batch, totals=make_totals(jobs=jobs)).outcome
    assert outcome.headline == "Stopped early: 3 of 4 jobs done, none failed"
    assert outcome.notes == [
        "Reason: the budget is spent",
        "To continue it: orchestrator resume output/nightly/x",
    ]


def test_page_says_which_spec_parameters_and_jobs_it_is_of() -> None:
    """Two batches of one name differ in what was asked for, and the first lines tell them apart."""
    plan = replace(
        make_batch().plan,
        spec_path="/jobs/nightly.toml",
        params={"country": "us"},
        choice=Choice(select="tag:eu", limit=3),
    )
    text = _text(make_page([listed_job()], batch=ended_batch(plan=plan)))
    assert "spec nightly.toml · country=us · select tag:eu · the first 3 jobs" in text
    assert "/jobs/nightly.toml" not in text


def test_page_shows_times_in_the_zone_of_the_batch() -> None:
    """Noon in UTC is one o'clock in Prague, in the text and for the script."""
    page = make_page([listed_job()])
    text = _text(page)
    assert "2026-11-25 13:00" in text
    assert "Europe/Prague, UTC+01:00" in text
    assert (_data(page)["zone"], _data(page)["offset"]) == ("Europe/Prague", 3600)


def test_timeline_of_too_many_lanes_says_so() -> None:
    """If more runs are concurrent than a screen has lines, they are counted, not drawn."""
    view = make_page(listed_job(seq) for seq in range(200)).timeline
    assert view is not None
    assert (view.concurrency.peak, view.lanes) == (200, None)
    assert "More than 128 runs ran at once" in _text(make_page(map(listed_job, range(200))))


def test_breakdown_adds_up_by_actor_and_by_parameter() -> None:
    """It has the cost, failures and median time of each value, but no parameter of single jobs."""
    jobs = [
        listed_job(
            seq,
            params={"country": "us" if seq % 2 else "de", "id": seq},
            status=JobStatus.FAILED if seq == 1 else JobStatus.SUCCEEDED,
            attempts=(listed_attempt(seq, cost_usd=Decimal(seq)),),
        )
        for seq in range(4)
    ]
    tables = {table.name: table.rows for table in make_page(jobs).breakdown}
    assert [*tables] == ["Actor or task", "country"]
    [actor] = tables["Actor or task"]
    assert (actor.value, actor.cost, actor.usual) == ("me/actor", "$6.00", "0:01:00")
    assert [(row.value, row.jobs, row.failed, row.cost) for row in tables["country"]] == [
        ("us", "2", 1, "$4.00"),
        ("de", "2", 0, "$2.00"),
    ]


def test_job_costs_what_all_its_runs_cost() -> None:
    """Attempts add up; a resurrected run counts once, with its last cost."""
    attempts = (
        listed_attempt(number=1, run_id=RunId("a"), cost_usd=Decimal(1)),
        listed_attempt(number=2, run_id=RunId("b"), cost_usd=Decimal(2)),
        listed_attempt(number=3, run_id=RunId("b"), cost_usd=Decimal(5), resurrected_at=NOON),
    )
    assert shown_job(ended_batch(), listed_job(attempts=attempts)).cost_usd == 6


def test_batch_is_marked_if_it_is_worse_than_usual() -> None:
    """It names what is slower, more expensive or smaller than the median of earlier batches."""
    past = [
        figures_of(ended_batch(10), make_totals(items=1000, cost_usd=Decimal(cost)))
        for cost in (1, 2, 30)
    ]
    totals = make_totals(items=500, cost_usd=Decimal(4))
    view = make_page([], batch=ended_batch(20), totals=totals, past=past).comparison
    assert view is not None
    assert view.marks == [
        "slower: 0:20:00, usually 0:10:00",
        "dearer: $4.00, usually $2.00",
        "fewer items: 500, usually 1,000",
    ]


def test_batch_like_the_others_has_no_mark() -> None:
    """Small differences are not marked."""
    past = [figures_of(ended_batch(10), make_totals(items=100))]
    view = make_page([], batch=ended_batch(11), totals=make_totals(items=95), past=past).comparison
    assert view is not None
    assert view.marks == []


def test_job_is_marked_if_it_is_worse_than_in_the_last_batch() -> None:
    """Twice the time, twice the cost, half the items: each has its mark; keys ignore case."""
    slow = listed_attempt(
        items=3, cost_usd=Decimal("0.5"), finished_at=NOON + timedelta(minutes=10)
    )
    usual = {"job-0": Usual(items=10, secs=60.0, cost_usd=0.1)}
    page = make_page([listed_job(key="JOB-0", attempts=(slow,)), listed_job(1)], usual=usual)
    assert [row[11] & (SLOWER | DEARER | FEWER) for row in _data(page)["rows"]] == [
        SLOWER | DEARER | FEWER,
        0,
    ]


def test_errors_that_differ_only_in_the_run_appear_once() -> None:
    """A thousand jobs with the same failure do not make the page larger."""
    jobs = [
        listed_job(seq, status=JobStatus.FAILED, error=f"run run{seq}n1 FAILED: no such shop")
        for seq in range(3)
    ]
    data = _data(make_page(jobs))
    assert data["errors"] == ["FAILED: no such shop"]
    assert [row[10] for row in data["rows"]] == [0, 0, 0]


def test_live_page_shows_live_runs_and_what_jobs_wait_for() -> None:
    """Runs that are only collected do not count as running, and the limit that holds is named."""
    now = NOON + timedelta(minutes=2)
    progress = Progress(
        at=now,
        began_at=NOON,
        total=20,
        running=4,
        collecting=2,
        lately=30,
        lately_from=NOON + timedelta(minutes=1),
        limit="4 of 4 runs are in progress",
        limited=9,
        ends_at=now + timedelta(minutes=5),
    )
    outcome = make_page([], is_held=True, progress=progress, now=now).outcome
    assert outcome.live == [
        "4 runs in progress, 2 being collected, 30 jobs/min, about 5 min left",
        "9 jobs wait: 4 of 4 runs are in progress",
    ]
    assert make_page([], progress=progress, now=now).outcome.live == []


def test_table_omits_jobs_that_succeeded_first() -> None:
    """A page with a limit keeps the failed jobs, and counts the omitted ones."""
    table = JobTable(ended_batch(), most_bytes=6000)
    for seq in range(200):
        failed = seq >= 180
        status = JobStatus.FAILED if failed else JobStatus.SUCCEEDED
        job = listed_job(seq, status=status, error="it failed" if failed else None)
        table.add(shown_job(ended_batch(), job), 0)
    rows = dict(table.rows())
    assert set(range(180, 200)) < set(rows)
    assert len(rows) + table.left_out == 200
    assert table.left_out > 0
    assert sum(map(len, rows.values())) <= 6000


@pytest.mark.parametrize(("error", "is_whole"), [("", True), ("because " * 50, False)])
def test_page_of_ten_thousand_jobs_is_small(error: str, is_whole: bool) -> None:
    """A file below 5 MB fits into a mail; if the errors are long, some are omitted."""
    made = (
        listed_job(
            seq,
            key=f"search-{seq:05d}-with-a-rather-long-key",
            params={"country": "us", "query": f"garden chair number {seq}", "page": seq % 10},
            status=JobStatus.FAILED if error else JobStatus.SUCCEEDED,
            error=f"{seq} {error}" if error else None,
        )
        for seq in range(10_000)
    )
    text = _text(make_page(made))
    assert len(text.encode()) < 5_000_000
    [left_out] = re.findall(r'"left_out":(\d+)', text)
    assert (left_out == "0") == is_whole


def _palette(block: str) -> dict[str, str]:
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_can_be_read(theme: str) -> None:
    """Text has a contrast of 4.5 and shapes have 3, in both themes: WCAG 2, level AA."""
    light, dark = TEMPLATES.joinpath("page.css").read_text().split("@media", 2)[:2]
    colours = {**_palette(light), **(_palette(dark) if theme == "dark" else {})}
    texts = ("text", "quiet", "good", "bad", "odd", "going", "idle", "accent")
    ratios = {
        (name, ground): _contrast(colours[name], colours[ground])
        for name in texts
        for ground in ("page", "panel")
    }
    ratios["text", "note"] = _contrast(colours["text"], colours["note"])
    assert {pair: ratio for pair, ratio in ratios.items() if ratio < LEAST_FOR_TEXT} == {}
    shapes = {ground: _contrast(colours["past"], colours[ground]) for ground in ("page", "panel")}
    assert {ground: ratio for ground, ratio in shapes.items() if ratio < LEAST_FOR_SHAPES} == {}
