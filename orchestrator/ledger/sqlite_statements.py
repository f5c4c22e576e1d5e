"""
The SQL as SQLite takes it: values by place.

Given by name, each value costs Python's module a look for it, and the interpreter's lock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from operator import attrgetter, itemgetter
from typing import Any

from orchestrator.ledger.queries import PARAMETER, queries
from orchestrator.model.batches import BatchState
from orchestrator.model.states import AttemptState, JobStatus

# Without these, Python's module looks for methods that such values do not have, at each binding.
sqlite3.register_adapter(type(None), lambda none: none)
for _words in (AttemptState, BatchState, JobStatus):
    sqlite3.register_adapter(_words, attrgetter("_value_"))


@cache
def statement(name: str) -> tuple[str, Callable[[Mapping[str, Any]], Sequence[Any]]]:
    """A named statement with numbers for its parameters, and what puts values in their order."""
    sql = queries()[name]
    names = tuple(dict.fromkeys(PARAMETER.findall(sql)))
    numbered = PARAMETER.sub(lambda found: f"?{names.index(found[1]) + 1}", sql)
    if len(names) > 1:
        return numbered, itemgetter(*names)
    return numbered, lambda values: [values[each] for each in names]
