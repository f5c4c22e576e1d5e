"""Reads a batch from its folder: jobs, items and tables. It asks no platform."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.api.job_result import JobResult, job_result
from orchestrator.app.batch_folders import LEDGER
from orchestrator.errors import UsageError
from orchestrator.ledger import LedgerReader
from orchestrator.model.progress import Progress

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa


class BatchFiles(ABC):
    """
    What a batch has on disk; each call reads it anew, also while the batch runs.

    In a table, each row is an item of a job that succeeded. Besides the fields of the items there
    are the columns `_job` and `_run`, and one for each parameter of the jobs.
    """

    @property
    @abstractmethod
    def folder(self) -> Path:
        """The folder of the batch."""

    @property
    def jobs(self) -> list[JobResult]:
        """All jobs, in the order of the spec."""
        return list(self._jobs())

    def job(self, key: str) -> JobResult:
        """
        One job.

        Raises:
            UsageError: the batch has no job with this key.
        """
        with LedgerReader(self.folder / LEDGER) as reader:
            report = reader.report(key)
            if report is not None:
                return job_result(self.folder, reader.batch(), report)
            keys = list(map(str, reader.keys()))
        # Imported late: only a misspelt key needs it.
        from orchestrator.specfile.diagnostics import unknown

        raise UsageError(f"{self.folder}: {unknown(key, keys, 'job')}")

    def items(self) -> Iterator[dict[str, Any]]:
        """
        The items of all jobs that succeeded, in the order of the spec, as a stream.

        Raises:
            UsageError: the items of a job are in a format that is not read here.
            NotMerged: a file is missing, or has another number of items than the ledger.
        """
        for job in self._jobs():
            if job.succeeded:
                yield from job.items

    def to_arrow(self) -> pa.Table:
        """
        The items of all jobs that succeeded, as a table of Arrow.

        Raises:
            ConfigError: the extra `parquet` is not installed.
        """
        # Imported late, as in the next ones: the libraries are large, and reading jobs needs none.
        from orchestrator.api.tables import arrow_table

        return arrow_table(self.folder)

    def to_pandas(self) -> pd.DataFrame:
        """
        The items of all jobs that succeeded, as a data frame; whole numbers stay exact (`Int64`).

        Raises:
            ConfigError: the extra `pandas` is not installed.
        """
        from orchestrator.api.tables import pandas_frame

        return pandas_frame(self.folder)

    def to_polars(self) -> pl.DataFrame:
        """
        The items of all jobs that succeeded, as a data frame of Polars.

        Raises:
            ConfigError: the extra `polars` is not installed.
        """
        from orchestrator.api.tables import polars_frame

        return polars_frame(self.folder)

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """
        Answers a query of DuckDB over the tables `items` and `jobs`.

        The answer has `.fetchall()`, `.df()`, `.pl()` and `.arrow()`. `jobs` has the fields of
        `jobs.jsonl`, `params` as JSON.

        Raises:
            ConfigError: the extra `duckdb` is not installed.
        """
        from orchestrator.api.tables import answered

        return answered(self.folder, query)

    def progress(self) -> Progress | None:
        """The latest figures of the batch while it runs; None if no process recorded any."""
        with LedgerReader(self.folder / LEDGER) as reader:
            return reader.progress()

    def _jobs(self) -> Iterator[JobResult]:
        with LedgerReader(self.folder / LEDGER) as reader:
            batch = reader.batch()
            for report in reader.reports():
                yield job_result(self.folder, batch, report)
