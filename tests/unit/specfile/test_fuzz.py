"""Any file is a spec or gives mistakes, quickly and with little memory."""

from __future__ import annotations

import copy
import json
import resource
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import SpecError
from orchestrator.specfile import expand, load_spec
from orchestrator.specfile.valid_part import UNNAMED

ENDINGS = st.sampled_from(["toml", "yaml", "json"])
LONGEST_SECS = 10.0
MOST_MBYTES = 1000
HOSTILE = {
    "deep.json": b'{"batch":' + b"[" * 100_000,
    "deep.yaml": b"a: " + b"[" * 100_000,
    "deep.toml": b"a = " + b"[" * 100_000,
    "keys.toml": b".".join([b"a"] * 50_000) + b" = 1",
    "number.json": b'{"batch": {"name": "b", "max_runs": ' + b"9" * 1_000_000 + b"}}",
    "number.toml": b"a = " + b"9" * 1_000_000,
    "float.yaml": b"a: 1e" + b"9" * 1_000_000,
    "bomb.yaml": b"a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
    + b"".join(
        b"a%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 12)
    ),
    "range.toml": b"[batch]\nname='b'\n[[jobs]]\nname='{{ n }}'\nactor='a/b'\n"
    b"matrix = { n = { range = [1, 9000000000000000000] } }",
    "product.toml": b"[batch]\nname='b'\n[[jobs]]\nname='{{ a }}'\nactor='a/b'\n[jobs.matrix]\n"
    + b"\n".join(b"%c = { range = [1, 100000] }" % (97 + n) for n in range(20)),
    "power.toml": b"[batch]\nname='b'\n[[jobs]]\nname='{{ 9 ** 9 ** 9 }}'\nactor='a/b'",
    "repeat.toml": b"[batch]\nname='b'\n[[jobs]]\nname=\"{{ 'x' * 10 ** 12 }}\"\nactor='a/b'",
    "loop.toml": b"[batch]\nname='b'\n[[jobs]]\nname='{{ range(10**9) | list }}'\nactor='a/b'",
    "nul.toml": b'a = "\x00"',
    "bytes.yaml": bytes(range(256)),
    "empty.toml": b"",
}


def load_and_expand(path: Path) -> None:
    """Loads and expands a spec, which may have mistakes; any other error is a failure."""
    began = time.process_time()
    try:
        for number, _ in enumerate(expand(load_spec(path), env={}, today=date(2026, 11, 25))):
            if number > 1000:
                break
    except SpecError as error:
        # What replaces a value with a mistake, so that the rest is checked, is never shown.
        assert not any(UNNAMED in mistake.message for mistake in error.mistakes)  # noqa: PT017
    assert time.process_time() - began < LONGEST_SECS


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=400), ending=ENDINGS)
def test_any_bytes_are_a_spec_or_mistakes(tmp_path: Path, data: bytes, ending: str) -> None:
    """Random bytes in each of the languages."""
    path = tmp_path / f"any.{ending}"
    path.write_bytes(data)
    load_and_expand(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
    | st.sampled_from(["{{ n }}", "{{ env.X }}", "{{ needs.a.items }}", "{{", "a/b", "24h", "10%"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
FIELDS = st.sampled_from(
    ["name", "actor", "task", "input", "matrix", "rules", "expect", "needs", "reuse", "collect",
     "webhooks", "memory_mbytes", "retries", "tags", "pools", "mode", "build", "zip", "rows"]
)  # fmt: skip


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    job=st.dictionaries(FIELDS, JSON, max_size=6),
    batch=st.dictionaries(
        st.sampled_from(["name", "max_runs", "max_cost_usd", "x"]), JSON, max_size=3
    ),
    more=st.dictionaries(
        st.sampled_from(["params", "pools", "results", "defaults"]), JSON, max_size=2
    ),
)
def test_any_values_are_a_spec_or_mistakes(
    tmp_path: Path, job: dict[str, Any], batch: dict[str, Any], more: dict[str, Any]
) -> None:
    """The right names with values of any type."""
    spec = {"batch": {"name": "b", **batch}, "jobs": [{"name": "j", "actor": "a/b", **job}], **more}
    path = tmp_path / "any.json"
    path.write_text(json.dumps(spec))
    load_and_expand(path)


WHOLE: dict[str, Any] = {
    "batch": {"name": "b", "max_runs": 3},
    "params": {"shop": "x"},
    "pools": {"p": {"max_runs": 2}},
    "defaults": {"retries": 2, "memory_mbytes": 1024},
    "jobs": [
        {
            "name": "{{ shop }}-{{ country }}-{{ page }}",
            "actor": "a/b",
            "input": {"url": "https://x/{{ page }}", "all": ["{{ country }}"]},
            "pools": ["p"],
            "matrix": {
                "country": ["us", "de"],
                "page": {"range": [1, 2]},
                "exclude": [{"country": "us", "page": [1]}],
            },
        },
        {"name": "last", "task": "t", "needs": ["x-*"], "collect": {"fields": ["a"]}},
    ],
}


def places_in(tree: Any) -> list[tuple[Any, Any]]:
    """Each table or list of a tree with each of its names or indexes."""
    if not isinstance(tree, (dict, list)):
        return []
    names = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    return [(tree, name) for name in names] + [
        place for name in names for place in places_in(tree[name])
    ]


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_spoilt_spec_gives_mistakes(tmp_path: Path, data: st.DataObject) -> None:
    """Values and names of a good spec are spoilt at random; what replaces them is never shown."""
    spec = copy.deepcopy(WHOLE)
    for _ in range(data.draw(st.integers(1, 5))):
        table, name = data.draw(st.sampled_from(places_in(spec)))
        if isinstance(table, dict) and data.draw(st.booleans()):
            table[f"{name[:-1]}x"] = table.pop(name)
        else:
            table[name] = data.draw(JSON)
    path = tmp_path / "spoilt.json"
    path.write_text(json.dumps(spec))
    load_and_expand(path)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_is_refused_quickly(tmp_path: Path, name: str) -> None:
    """Deep nesting, huge numbers, exponential aliases and products, templates without an end."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = tmp_path / name
    path.write_bytes(HOSTILE[name])
    began = time.process_time()
    with pytest.raises(SpecError):
        list(expand(load_spec(path), env={}, today=date(2026, 11, 25)))
    assert time.process_time() - began < LONGEST_SECS
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown / 1024 < MOST_MBYTES
