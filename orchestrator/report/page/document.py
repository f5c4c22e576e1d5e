"""
The page of a batch: one file with all it needs, and nothing that an Actor says can run.

The style sheet and the script are the only ones that the page allows, by their digests. Texts
become HTML through templates that escape them, or are drawn as text by the script.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import orjson

from orchestrator.report.page.batch_page import BatchPage
from orchestrator.report.page.job_rows import for_script
from orchestrator.report.page.outcome import footer_words, occurrence_words

if TYPE_CHECKING:
    from jinja2 import Environment

SECTIONS = ("outcome", "failures", "history", "timeline", "breakdown")
"""The parts of the page above the table, in their order; each has a template of its name."""


def report_document(page: BatchPage) -> Iterator[bytes]:
    """The page of a batch as a file, in pieces."""
    return document(page, data=page_data(page))


def document(page: BatchPage, *, data: bytes, live: str = "", home: str = "") -> Iterator[bytes]:
    """
    The page of a batch in pieces.

    Args:
        data: as `page_data` gives it.
        live: the address of the changes; empty in a file.
        home: the address of the list of batches; empty in a file.
    """
    facts = page.facts
    yield from shell(
        "batch.html",
        title=f"{facts.batch.name} {facts.batch.id}",
        is_live=bool(live),
        data=data,
        batch=facts.batch,
        words=occurrence_words(facts.batch, facts.zone),
        footer=footer_words(facts.now, facts.zone),
        sections=sections(page),
        live=live,
        home=home,
    )


def shell(
    template: str, *, title: str, is_live: bool, data: bytes = b"{}", **given: Any
) -> Iterator[bytes]:
    """A page with the common frame around a template, in pieces."""
    text = (
        _templates()
        .get_template(template)
        .generate(title=title, policy=policy(is_live=is_live), style=_text("page.css"), **given)
    )
    for piece in text:
        yield piece.encode()
    yield b'<script type="application/json" id="data">'
    yield from for_script(iter([data]))
    yield b"</script>\n<script>" + _text("page.js").encode() + b"</script>\n</body>\n</html>\n"


def sections(page: BatchPage) -> dict[str, str]:
    """The parts of the page above the table, as HTML; an empty one has nothing to show."""
    return {name: _templates().get_template(f"{name}.html").render(page=page) for name in SECTIONS}


def page_data(page: BatchPage, **more: Any) -> bytes:
    """What the script needs, as JSON."""
    rows = page.table.rows()
    words = {
        **page.table.words(),
        **zone_fields(page.facts.batch.created_at, page.facts.zone),
        "console": page.console,
        "job": page.facts.job_pages,
        "errors": page.table.errors(),
        "left_out": page.table.left_out,
        **more,
    }
    head = orjson.dumps(words).removesuffix(b"}")
    return head + b',"rows":[' + b",".join(rows.values()) + b"]}"


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

    return Environment(
        loader=FunctionLoader(_text),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
