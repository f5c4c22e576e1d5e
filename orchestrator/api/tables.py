"""The items of a batch as tables of other libraries, which are extras."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.outputs.export_file import export
from orchestrator.errors import ConfigError
from orchestrator.extras import LIBRARIES_OF_EXTRAS, Extra, not_installed
from orchestrator.ledger import LedgerReader
from orchestrator.model.batches import ResultsFormat
from orchestrator.report.summary import JOB_FIELDS, job_line

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa


WHOLE_NUMBERS = ("attempts", "items", "bytes")
"""The fields of a job in the table `jobs` that are no texts, beside the cost."""

LINE_OF_THE_PROGRAM = 4
"""How many calls a warning is below the line that asked for the table."""


class IncompleteTable(UserWarning):
    """A table lacks items of some jobs; the words say of which."""


def arrow_table(folder: Path) -> pa.Table:
    """The items of a batch as a table of Arrow."""
    _require(Extra.PARQUET, "to_arrow()")
    return _items(folder)


def pandas_frame(folder: Path) -> pd.DataFrame:
    """The items of a batch as a data frame of pandas."""
    _require(Extra.PANDAS, "to_pandas()")
    import pandas as pd
    import pyarrow as pa

    # By default, pandas turns whole numbers with gaps into floats, which are not exact.
    exact = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    return _items(folder).to_pandas(types_mapper=exact.get)


def polars_frame(folder: Path) -> pl.DataFrame:
    """The items of a batch as a data frame of Polars."""
    _require(Extra.POLARS, "to_polars()")
    import polars as pl

    frame = pl.from_arrow(_items(folder))
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - a table gives no series
    return frame


def answered(folder: Path, query: str) -> duckdb.DuckDBPyRelation:
    """The answer of DuckDB to a query over the items and the jobs of a batch."""
    _require(Extra.DUCKDB, "sql()")
    import duckdb
    import pyarrow as pa

    connection = duckdb.connect()
    connection.register("items", _items(folder))
    # Named also where no job has a value, or where there is no job.
    numbers = {name: pa.int64() for name in WHOLE_NUMBERS} | {"cost_usd": pa.float64()}
    schema = pa.schema([(name, numbers.get(name, pa.string())) for name in JOB_FIELDS])
    connection.register("jobs", pa.Table.from_pylist(list(_job_rows(folder)), schema=schema))
    return connection.sql(query)


def _items(folder: Path) -> pa.Table:
    import pyarrow.parquet as parquet

    # The same steps as `export`, so that a value means the same here and in a file.
    with TemporaryDirectory(prefix="orchestrator-") as place:
        target = Path(place) / "items.parquet"
        exported = export(folder, ResultsFormat.PARQUET, since=None, target=target)
        table = parquet.read_table(target)
    for words in exported.left_out:
        warnings.warn(words, IncompleteTable, stacklevel=LINE_OF_THE_PROGRAM)
    return table


def _job_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines of `jobs.jsonl`; what is not one value there is JSON here."""
    with LedgerReader(folder / LEDGER) as reader:
        batch = reader.batch()
        for job in reader.listed():
            yield {
                name: json.dumps(value) if isinstance(value, dict | list) else value
                for name, value in job_line(batch, job).items()
            }


def _require(extra: Extra, what: str) -> None:
    """
    Refuses a table whose library is not installed.

    Raises:
        ConfigError.
    """
    for library in (LIBRARIES_OF_EXTRAS[extra], LIBRARIES_OF_EXTRAS[Extra.PARQUET]):
        if find_spec(library) is None:
            raise ConfigError(f"{what} {not_installed(extra)}")
