"""The data that the page of a batch holds for its script."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from orchestrator.app.batch.final_files import PAGE, write_reports
from orchestrator.ledger import LedgerReader

KEY, FLAGS = 1, 11


def write_page(folder: Path) -> Path:
    """Writes the reports of a batch in this process; returns the page."""
    with LedgerReader(folder / "ledger.sqlite") as reader:
        write_reports(folder, reader.batch(), reader, reader.totals())
    return folder / PAGE


def data_in(page: str) -> Any:
    """The data in the text of a page."""
    [text] = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL
    )
    return json.loads(text)


def keys_in(page: str) -> list[str]:
    """The jobs of its table."""
    return [row[KEY] for row in data_in(page)["rows"]]
