"""Which parts are installed on request, and the command that installs them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

DISTRIBUTION = "apify-batch"
"""The name of the project on package indexes."""


class Extra(StrEnum):
    """An optional part of the installation."""

    DASK = "dask"
    DUCKDB = "duckdb"
    EXCEL = "excel"
    METRICS = "metrics"
    NOTIFY = "notify"
    OTEL = "otel"
    PANDAS = "pandas"
    PARQUET = "parquet"
    POLARS = "polars"
    POSTGRES = "postgres"
    REMOTE = "remote"
    SCHEMA = "schema"


LIBRARIES_OF_EXTRAS: Mapping[Extra, str] = {
    Extra.DASK: "distributed",
    Extra.DUCKDB: "duckdb",
    Extra.EXCEL: "python_calamine",
    Extra.METRICS: "prometheus_client",
    Extra.NOTIFY: "apprise",
    Extra.OTEL: "opentelemetry",
    Extra.PANDAS: "pandas",
    Extra.PARQUET: "pyarrow",
    Extra.POLARS: "polars",
    Extra.POSTGRES: "psycopg",
    Extra.REMOTE: "obstore",
    Extra.SCHEMA: "jsonschema_rs",
}
"""The module by which an installed extra is recognised."""


def not_installed(extra: Extra) -> str:
    """Return the end of a message that says what to do about a library that is not installed."""
    return f"needs a library that is not installed: pip install '{DISTRIBUTION}[{extra}]'"
