"""
Seeded faults: which requests go wrong, and how.

This module only decides; the server acts. The same seed and the same order of requests give the
same faults.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from apify_emulator.errors import SetupError
from apify_emulator.json_files import without_bom


def _checked_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as problem:
        raise ValueError(f"{text!r} is not a regular expression: {problem}") from problem
    return text


_Pattern = Annotated[str, AfterValidator(_checked_pattern)]
_Count = Annotated[int, Field(ge=0)]
_Secs = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class FaultKind(StrEnum):
    """What goes wrong. "Before" and "after" mean the effect of the request."""

    RATE_LIMITED = "rate-limited"
    ERROR_BEFORE = "error-before"
    ERROR_AFTER = "error-after"
    RESET_BEFORE = "reset-before"
    RESET_AFTER = "reset-after"
    REFUSE = "refuse"
    HTML = "html"
    HTML_AFTER = "html-after"
    TRUNCATED = "truncated"
    STALL = "stall"
    SLOW_HEADERS = "slow-headers"
    BAD_GZIP = "bad-gzip"
    GARBAGE = "garbage"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """
    One kind of fault and the requests that it applies to.

    Attributes:
        do: what happens. `refuse` answers with the API's error object before any effect; `html`
            with a gateway's page before any effect, and `html-after` after it; `stall` sends half
            the answer and pauses; `slow-headers` pauses between the effect and the answer;
            `garbage` has its effect and answers with `body`, in the status and content type of the
            correct answer.
        method: a regular expression for the whole method.
        path: a regular expression found anywhere in the path, which begins with `/v2`.
        nth: which of the matching requests, counted from 1; empty for all of them.
        after: how many of the matching requests it skips first.
        rate: the share of the matching requests, drawn from the seed.
        times: how many times at most; None for no limit.
        secs: how long a pause lasts.
        status: of the errors, the refusal and the page.
        type, message, approval_url: of the refusal; an empty URL is left out.
        body: of the garbage.
        cap_below: only starts with a `maxTotalChargeUsd` below this; None for all requests.
    """

    do: FaultKind
    method: _Pattern = ".*"
    path: _Pattern = ""
    nth: tuple[_Count, ...] = ()
    after: _Count = 0
    rate: Annotated[float, Field(ge=0, le=1)] = 1.0
    times: _Count | None = None
    secs: _Secs = 1.0
    status: Annotated[int, Field(ge=200, le=599)] = 502
    type: str = "invalid-input"
    message: str = "The platform refuses this."
    approval_url: str = ""
    body: str = ""
    cap_below: float | None = None

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """
    How an emulator misbehaves.

    Attributes:
        rules: the first one that applies decides; every matching rule counts the request.
        list_lag_secs: how long a new run is missing from lists.
        count_lag_secs: how long `itemCount` and `cleanItemCount` stay behind.
        items_lag_secs: how long after the last new item half of the new items are missing, also
            from the total.
        total_lag_secs: how long they are missing from the total (`X-Apify-Pagination-Total`) alone.
        usage_lag_secs: how long after its end a run shows no cost and no charged events.
    """

    seed: int = 0
    rules: tuple[FaultRule, ...] = ()
    list_lag_secs: _Secs = 0.0
    count_lag_secs: _Secs = 0.0
    items_lag_secs: _Secs = 0.0
    total_lag_secs: _Secs = 0.0
    usage_lag_secs: _Secs = 0.0

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


def load_faults(path: Path) -> Faults:
    """
    Reads faults from a JSON file with the fields of `Faults`.

    Raises:
        SetupError: the file cannot be read, or its content is not valid.
    """
    try:
        return read_faults(path.read_bytes())
    except OSError as problem:
        raise SetupError(f"{path}: cannot be read: {problem.strerror}") from problem
    except ValueError as problem:
        raise SetupError(f"{path}: is not a valid file of faults: {problem}") from problem


def read_faults(content: bytes) -> Faults:
    """
    Returns the faults of a JSON object with the fields of `Faults`.

    Raises:
        ValueError: the content is not valid; the message names the fields.
    """
    try:
        return _adapter().validate_json(without_bom(content))
    except ValidationError as problem:
        mistakes = "; ".join(
            f"{'.'.join(str(part) for part in error['loc']) or 'the file'}: "
            f"{error['msg'].removeprefix('Value error, ')}"
            for error in problem.errors()
        )
        raise ValueError(mistakes) from problem


@cache
def _adapter() -> TypeAdapter[Faults]:
    return TypeAdapter(Faults)


class FaultPicker:
    """Draws the fault of each request; counts how often each rule matched and applied."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        # Not for secrets: a seed must give the same faults again.
        self._random = random.Random(faults.seed)  # noqa: S311
        self._rules = [
            (rule, re.compile(rule.method), re.compile(rule.path)) for rule in faults.rules
        ]
        self._matched = [0] * len(self._rules)
        self._injected = [0] * len(self._rules)

    @property
    def injected(self) -> int:
        """How many faults have happened."""
        return sum(self._injected)

    @property
    def injected_of_kinds(self) -> dict[str, int]:
        """How many faults of each kind have happened."""
        found = {rule.do.value: 0 for rule, _, _ in self._rules}
        for (rule, _, _), count in zip(self._rules, self._injected, strict=True):
            found[rule.do.value] += count
        return found

    def pick(self, method: str, path: str, cap: str | None = None) -> FaultRule | None:
        """
        Returns the rule that applies to this request; None for a correct answer.

        Args:
            cap: the `maxTotalChargeUsd` of the request, if it has one.
        """
        chosen: FaultRule | None = None
        for at, (rule, method_pattern, path_pattern) in enumerate(self._rules):
            if not method_pattern.fullmatch(method) or not path_pattern.search(path):
                continue
            if rule.cap_below is not None and not _is_below(cap, rule.cap_below):
                continue
            # Every matching rule counts, so that `nth` does not depend on the other rules.
            self._matched[at] += 1
            if chosen is None and self._applies(at, rule):
                self._injected[at] += 1
                chosen = rule
        return chosen

    def _applies(self, at: int, rule: FaultRule) -> bool:
        if rule.times is not None and self._injected[at] >= rule.times:
            return False
        if self._matched[at] <= rule.after or (rule.nth and self._matched[at] not in rule.nth):
            return False
        return rule.rate >= 1.0 or self._random.random() < rule.rate


def _is_below(cap: str | None, most: float) -> bool:
    try:
        return bool(cap) and float(cap or 0) < most
    except ValueError:
        # The endpoint refuses it.
        return False
