"""
The page of a batch: one file with all it needs, and nothing that an Actor says can run.

The style sheet and the script are the only ones that the page allows, by their digests. Texts
become HTML through templates that escape them, or are drawn as text by the script.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import orjson

from orchestrator.report.page.batch_page import BatchPage, PageFacts
from orchestrator.report.page.job_rows import for_script
from orchestrator.report.page.outcome import footer_words, occurrence_words
from orchestrator.safe_text import plain

if TYPE_CHECKING:
    from jinja2 import Environment

SECTIONS = ("outcome", "failures", "history", "timeline", "breakdown")
"""The parts of the page above the table, in their order; each has a template of its name."""

ROWS_AT_ONCE = 256


def report_document(page: BatchPage) -> Iterator[bytes]:
    """The page of a batch as a file, in pieces."""
    rows = (row for _, row in page.table.rows())
    return document(page, sections(page), data=page_data(page, rows))


def document(
    page: BatchPage,
    shown: Mapping[str, str],
    *,
    data: Iterable[bytes],
    live: str = "",
    places: Sequence[tuple[str, str]] = (),
) -> Iterator[bytes]:
    """
    The page of a batch in pieces.

    Args:
        shown: as `sections` gives it.
        data: as `page_data` gives it.
        live: the address of the changes; empty in a file.
        places: addresses and names of the pages above this one; none in a file.
    """
    facts = page.facts
    return shell(
        PageFrame(
            title=facts.batch.name,
            words=occurrence_words(facts.batch, facts.totals, facts.zone),
            footer=footer_words(facts.now, facts.zone),
            has_table=True,
            live=live,
            places=places,
        ),
        shown,
        data,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFrame:
    """
    What stands around the content of every page.

    Attributes:
        words: below the title.
        has_table: whether the table of jobs follows the sections.
        live: the address of the changes; empty in a file.
        places: addresses and names of the pages above this one.
    """

    title: str
    words: str
    footer: str
    has_table: bool = False
    live: str = ""
    places: Sequence[tuple[str, str]] = ()


def shell(frame: PageFrame, shown: Mapping[str, str], data: Iterable[bytes]) -> Iterator[bytes]:
    """
    A page in pieces.

    Args:
        shown: HTML by the id of its section.
        data: JSON for the script, in pieces.
    """
    template = _templates().get_template("page.html")
    text = template.generate(
        frame=frame,
        sections=shown,
        policy=policy(is_live=bool(frame.live)),
        style=_text("page.css"),
    )
    for piece in text:
        yield piece.encode()
    yield b'<script type="application/json" id="data">'
    yield from for_script(data)
    yield b"</script>\n<script>" + _text("page.js").encode() + b"</script>\n</body>\n</html>\n"


def sections(page: BatchPage) -> dict[str, str]:
    """The parts of the page above the table, as HTML; an empty one has nothing to show."""
    return {name: section(name, page=page) for name in SECTIONS}


def section(name: str, **given: object) -> str:
    """A part of a page as HTML, by its template."""
    return _templates().get_template(f"{name}.html").render(**given)


def page_data(page: BatchPage, rows: Iterable[bytes], **more: object) -> Iterator[bytes]:
    """What the script needs of a batch, as JSON in pieces."""
    words = {**page_words(page), "errors": page.table.errors(), **more}
    yield orjson.dumps(words).removesuffix(b"}") + b',"rows":['
    rows, comma = iter(rows), b""
    while piece := b",".join(islice(rows, ROWS_AT_ONCE)):
        yield comma + piece
        comma = b","
    yield b"]}"


def page_words(page: BatchPage) -> dict[str, object]:
    """What the script needs beside rows and errors."""
    return {
        **page.table.words(),
        **zone_fields(page.facts.batch.created_at, page.facts.zone),
        "console": page.console,
        "job": page.facts.job_pages,
        "left_out": page.table.left_out,
        "now": _live_secs(page.facts),
        "written": footer_words(page.facts.now, page.facts.zone),
    }


def _live_secs(facts: PageFacts) -> int | None:
    """The time of a live page as rows count it; None when no run is in progress any more."""
    if not facts.is_held:
        return None
    return int(facts.now.timestamp()) - int(facts.batch.created_at.timestamp())


def zone_fields(time: datetime, zone: tzinfo) -> Mapping[str, object]:
    """The zone for the script: its name, and its offset at a time for browsers without it."""
    offset = time.astimezone(zone).utcoffset()
    return {
        "zone": zone.key if isinstance(zone, ZoneInfo) else None,
        "offset": 0 if offset is None else int(offset.total_seconds()),
    }


def policy(*, is_live: bool) -> str:
    """The Content-Security-Policy: our own style sheet and script, and nothing else."""
    connect = " connect-src 'self';" if is_live else ""
    return (
        f"default-src 'none'; style-src {_digest('page.css')}; script-src {_digest('page.js')};"
        f"{connect} img-src data:; base-uri 'none'; form-action 'none'"
    )


@cache
def _digest(name: str) -> str:
    digest = base64.b64encode(hashlib.sha256(_text(name).encode()).digest()).decode()
    return f"'sha256-{digest}'"


@cache
def _text(name: str) -> str:
    return files("orchestrator.report.page").joinpath("templates", name).read_text("utf-8")


@cache
def _templates() -> Environment:
    # Here, because only the end of a batch needs it.
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    def shown(value: object) -> object:
        """Every text without secrets and control characters, wherever it comes from."""
        return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    return Environment(
        loader=FunctionLoader(_text),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
