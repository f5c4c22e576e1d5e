"""
How items become a workbook for Excel.

The library is an extra, and it is imported when somebody asks for the format.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from apify_emulator.refusals import ApiError
from apify_emulator.storages.item_formats import Blocks, FormatOptions, cell_text, columns_of, flat

CONTENT_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_LIBRARY = "xlsxwriter"
# Limits of the format itself.
_MAX_ROWS, _MAX_CELL = 1_048_576, 32_767
_MAX_EXACT = 10**15
_PIECE_BYTES = 262_144


def check_installed() -> None:
    """
    Checks that the library is there.

    Raises:
        ApiError: it is not; the message has the command that installs it (400).
    """
    if importlib.util.find_spec(_LIBRARY) is None:
        raise ApiError(
            400,
            "not-implemented",
            "The format xlsx needs a library that is not installed: pip install "
            "'apify-batch[xlsx]'",
        )


def as_xlsx(read_blocks: Callable[[], Blocks], options: FormatOptions) -> Iterator[bytes]:
    """Yields a workbook with one sheet; nested values become columns like `a/b`."""
    import xlsxwriter

    columns = columns_of(read_blocks(), options.fields)
    with tempfile.TemporaryFile() as file:
        # Texts stay texts: a value like `=1+1` must not become a formula.
        settings = {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        }
        with xlsxwriter.Workbook(file, settings) as workbook:
            _fill(workbook.add_worksheet("Data"), columns, read_blocks(), options)
        file.seek(0)
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _fill(sheet: Any, columns: list[str], blocks: Blocks, options: FormatOptions) -> None:
    row = 0
    if options.has_header:
        sheet.write_row(row, 0, columns)
        row += 1
    for block in blocks:
        for item in block:
            if row >= _MAX_ROWS:
                return
            values = flat(item)
            for at, name in enumerate(columns):
                _write(sheet, row, at, values.get(name))
            row += 1


def _write(sheet: Any, row: int, column: int, value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    # Excel keeps 15 digits, so a longer number stays exact as a text only.
    elif isinstance(value, (int, float)) and abs(value) < _MAX_EXACT:
        sheet.write_number(row, column, value)
    else:
        sheet.write_string(row, column, cell_text(value)[:_MAX_CELL])
