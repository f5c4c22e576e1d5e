"""The check of collected items accepts all JSON, also what a strict parser refuses."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from orchestrator.collector.acceptance import Acceptance
from orchestrator.collector.item_values import canonical, plain
from orchestrator.model.attempts import Collected
from orchestrator.model.jobs import Expectation
from orchestrator.specfile.field_types import Share
from tests.support.builders import make_job, make_run
from tests.support.virtual_time import run_virtual

DEEP = b'{"url":"u","deep":' + b"[" * 5000 + b"]" * 5000 + b"}"
ODD = [
    b'{"url":"u","caption":"New drop \\ud83d"}',
    b'{"url":"u","\\ud83d":1}',
    b'{"url":"u","price":NaN,"high":Infinity,"low":-Infinity}',
    b'{"url":"u","big":123456789012345678901234567890,"huge":1e400}',
    b'{"url":"u","bytes":"\xff\xfe"}',
    b'\xef\xbb\xbf{"url":"u"}',
    b'{"url":"u","url":"v"}',
    DEEP,
    b'{"url":"u","deep":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}",
]
TEXTS = st.text(st.characters(codec=None))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def judged(folder: Path, lines: list[bytes], expect: Expectation, *, usual: int = 0) -> str | None:
    """The complaint about a file with these lines, where `usual` items are usual."""
    job = make_job(expect=expect)
    (folder / job.key).mkdir(exist_ok=True)
    body = b"".join(line + b"\n" for line in lines)
    (folder / job.key / "items.jsonl").write_bytes(body)
    found = Collected(items=len(lines), size_bytes=len(body), sha256="0" * 64)
    judge = Acceptance(folder, {job.seq: usual})
    return run_virtual(partial(judge.complaint, job, make_run(), found))


@pytest.mark.parametrize("line", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize(
    "expect",
    [
        Expectation(fields=("url",)),
        Expectation(share={"url": 1.0}),
        Expectation(schema={"required": ["url"], "properties": {"url": {"type": "string"}}}),
        Expectation(unique=("url", "deep", "caption")),
    ],
    ids=["fields", "share", "schema", "unique"],
)
def test_valid_json_that_a_parser_refuses_is_accepted(
    tmp_path: Path, line: bytes, expect: Expectation
) -> None:
    """A cut emoji, NaN, large numbers and deep nesting do not cause a second run."""
    assert judged(tmp_path, [line], expect) is None


def test_unusual_items_are_checked_by_their_fields(tmp_path: Path) -> None:
    """The fields that can be read are checked."""
    expect = Expectation(fields=("price",))
    assert judged(tmp_path, [ODD[0]], expect) == "item 1 has no price"
    assert judged(tmp_path, [b'{"price":NaN}', b'{"price":'], expect) == "item 2 is not JSON"
    twice = judged(tmp_path, [ODD[0], ODD[0]], Expectation(unique=("caption",)))
    assert twice is not None
    assert twice.startswith("item 2 has the same caption as an earlier one")
    assert judged(tmp_path, [DEEP], Expectation(schema={"required": ["name"]})) is not None


def test_share_of_items_that_must_have_a_field(tmp_path: Path) -> None:
    """Null counts as missing; without items there is no share."""
    lines = [b'{"price":1}'] * 8 + [b'{"price":null}', b"[1]"]
    assert judged(tmp_path, lines, Expectation(share={"price": 0.8})) is None
    assert judged(tmp_path, lines, Expectation(share={"price": 0.81})) == (
        "8 of 10 items have price (80%), and at least 81% were expected"
    )
    assert judged(tmp_path, [], Expectation(share={"price": 0.81})) is None


@pytest.mark.parametrize("percent", [7, 14, 41, 55, 58, 99])
def test_share_that_is_just_reached_is_accepted(tmp_path: Path, percent: int) -> None:
    """Floats do not make it more than it is: 0.07 times 100 is above 7."""
    share = TypeAdapter(Share).validate_python(f"{percent}%")
    lines = [b'{"price":1}'] * percent + [b"{}"] * (100 - percent)
    assert judged(tmp_path, lines, Expectation(share={"price": share})) is None
    fewer = lines[percent:]
    assert judged(tmp_path, fewer, Expectation(max_drop=share), usual=100) is None


def test_long_numbers_are_compared_exactly(tmp_path: Path) -> None:
    """Identifiers beyond 64 bits differ if their last digits do."""
    lines = [b'{"id":123456789012345678901%d}' % digit for digit in range(3)]
    assert judged(tmp_path, lines, Expectation(unique=("id",))) is None
    again = judged(tmp_path, [*lines, lines[0]], Expectation(unique=("id",)))
    assert again is not None
    assert again.startswith("item 4 has the same id")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(VALUES, max_size=3))
def test_any_json_can_be_checked(tmp_path: Path, items: list[object]) -> None:
    """The check of any JSON ends with a result."""
    lines = [json.dumps(item).encode() for item in items]
    expect = Expectation(
        fields=("a",), share={"b": 0.5}, unique=("c",), schema={"properties": {"a": {"minimum": 1}}}
    )
    complaint = judged(tmp_path, lines, expect)
    assert complaint is None or "is not JSON" not in complaint


@given(VALUES)
def test_plain_value_is_text_that_any_library_accepts(value: object) -> None:
    """The text has no half characters."""
    json.dumps(plain(value), ensure_ascii=False).encode()


@pytest.mark.parametrize("odd", [1, "\ud83d"], ids=["plain", "odd"])
def test_order_of_keys_does_not_matter_for_uniqueness(odd: object) -> None:
    """This also holds if the fast JSON writer refuses a value."""
    assert canonical({"a": 1, "b": odd}) == canonical({"b": odd, "a": 1})
