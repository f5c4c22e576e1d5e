"""What is said of a ledger whose values no version of this project has written."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from pydantic import ValidationError

from orchestrator.errors import LedgerCorrupt

CHANGED = (
    "another program or an unpublished version has changed the ledger; it is left as it is: "
    "restore the batch from a copy, or use the version that made it"
)

_MEANINGLESS = (
    ValueError,
    TypeError,
    AttributeError,  # of JSON that is not an object
    LookupError,
    ArithmeticError,
    zlib.error,
)
P = ParamSpec("P")
T = TypeVar("T")


def reads_ledger(function: Callable[P, T]) -> Callable[P, T]:
    """
    For a function that makes values of rows, and not for one that gives a stream.

    Raises:
        LedgerCorrupt: a column is missing, or its value has no meaning.
    """

    @wraps(function)
    def read(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except _MEANINGLESS as error:
            raise LedgerCorrupt(f"{CHANGED}: {_reason(error)}") from error

    return read


def _reason(error: Exception) -> str:
    """The first line of what was wrong, without the value."""
    if isinstance(error, ValidationError):
        (first, *_) = error.errors(include_url=False)
        place = ".".join(map(str, first["loc"]))
        return f"{place}: {first['msg']}" if place else first["msg"]
    return f"{type(error).__name__}: {error}".partition("\n")[0]
