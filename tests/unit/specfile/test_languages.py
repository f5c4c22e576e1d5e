from __future__ import annotations

import io
import json
import sys
import tomllib
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestrator.errors import SpecError
from orchestrator.model.jobs import Job
from orchestrator.specfile import LoadedSpec, expand, load_spec
from orchestrator.specfile.text.positions import JsonPositions
from orchestrator.specfile.text.yaml_events import parse_yaml, yaml_places
from tests.unit.specfile.test_positions import PRINTABLE, TREES, paths_in

# ruff: noqa: ISC004 - the sentences are long
TOML = """\
[batch]
name = "b"
[[jobs]]
name = "j-{{ n }}"
actor = "a/b"
input = { day = "2026-11-25", no = "no" }
matrix = { n = [1, 2] }
"""
YAML = """\
# a sweep
batch: {name: b}
jobs:
  - name: "j-{{ n }}"
    actor: a/b
    input: &input
      day: 2026-11-25
      "no": no
    matrix:
      n: [1, 2]
"""
HEAD = "batch: {name: b}\njobs:\n- {name: j, actor: a/b, input: {x: "
JSON_HEAD = '{"batch": {"name": "b"}, "jobs": [{"name": "j", "actor": "a/b", "input": {"x": '


def load(folder: Path, name: str, text: str) -> LoadedSpec:
    """Loads a spec of any language."""
    (folder / name).write_text(text)
    return load_spec(folder / name)


def jobs(loaded: LoadedSpec) -> list[Job]:
    """Its jobs."""
    return list(expand(loaded, env={}, today=date(2026, 11, 25)))


def mistakes_in(folder: Path, name: str, text: str) -> list[str]:
    """The mistakes of a spec."""
    try:
        jobs(load(folder, name, text))
    except SpecError as error:
        return [str(mistake).replace(f"{folder}/", "") for mistake in error.mistakes]
    return []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("s.yaml", YAML),
        ("s.yml", "\ufeff---\n" + YAML + "..."),
        ("s.json", json.dumps(tomllib.loads(TOML), indent="\t")),
    ],
    ids=["yaml", "yml", "json"],
)
def test_languages_give_the_same_jobs(tmp_path: Path, name: str, text: str) -> None:
    """A spec in YAML or JSON gives the same jobs as in TOML; a day and a `no` are text."""
    assert jobs(load(tmp_path, name, text)) == jobs(load(tmp_path, "s.toml", TOML))


@pytest.mark.parametrize(
    ("text", "language"),
    [(TOML, ".toml"), ("# x\n\n" + TOML, ".toml"), (YAML, ".yaml"),
     (json.dumps(tomllib.loads(TOML)), ".json")],
    ids=["toml", "comment", "yaml", "json"],
)  # fmt: skip
def test_standard_input_is_a_spec_of_any_language(
    monkeypatch: pytest.MonkeyPatch, text: str, language: str
) -> None:
    """The language of a spec from a pipe is detected by its beginning, and it can be read twice."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
    assert [job.key for job in jobs(load_spec(Path("-")))] == ["j-1", "j-2"]
    assert load_spec(Path("-")).ending == language


def test_standard_input_is_a_spec_or_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be both."""
    text = TOML.replace("n = [1, 2]", 'n = { file = "-", format = "text" }')
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
    with pytest.raises(SpecError) as caught:
        jobs(load_spec(Path("-")))
    said = str(caught.value).splitlines()[0]
    assert said.endswith("standard input: is the spec itself; it cannot be data as well")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + "1}, retires: 1}\n",
            "3:40: jobs[0].retires: unknown field 'retires'; did you mean 'retries'?"),
        ("batch: {name: b\njobs: 1\n", "2:5: is not valid YAML: did not find expected ',' or '}'"),
        ("batch: {name: b}\njobs:\n- name: {{ x }}\n",
            "3:9: is not valid YAML: write the whole text of a template in quotes: '{{ x }}'"),
        ("batch: {name: b}\na: &a {x: 1}\njobs:\n- <<: *a\n",
            "4:3: is not valid YAML: merge keys (<<) are not supported; write the shared fields in "
            "defaults"),
        ("batch:\n\tname: b\n", "2:1: is not valid YAML: a tab cannot indent a line; write "
            "spaces"),
        ("batch: {name: b}\nbatch: {}\n", "2:1: is not valid YAML: the name already has a value"),
        ("a: &a [*a]\n", "1:8: is not valid YAML: *a refers to itself"),
        ("a: *b\n", "1:4: is not valid YAML: there is no &b before *b"),
        ("a: !!python/object/apply:os.system [ls]\n", "1:4: is not valid YAML: tags such as "
            "'tag:yaml.org,2002:python/object/apply:os' are not supported"),
        ("a: 1\n---\nb: 2\n", "2:1: is not valid YAML: a spec is one document; found a "
            "second one"),
        ("? [1]\n: 2\n", "1:3: is not valid YAML: the name of a field must be text"),
        ("- 1\n", "1:1: must be a table with batch and jobs"),
        ("just text", "1:1: must be a table with batch and jobs"),
        ("# nothing\n", "is empty; a spec has a [batch] with a name, and [[jobs]]"),
        (HEAD + "[" * 200 + "]" * 200 + "}}\n", "3:132: is not valid YAML: nested more than 100 "
            "levels deep"),
        (HEAD + "9" * 5000 + "}}\n", "3:36: is not valid YAML: a number has more digits than 64 "
            "bits hold"),
        (HEAD + ".nan}}\n", "3:33: jobs[0].input.x: nan is not a JSON number"),
        (HEAD + "0xFFFFFFFFFFFFFFFFFF}}\n", "3:33: jobs[0].input.x: the number does not fit into "
            "64 bits"),
        ("a: \x00", "is not valid YAML: control characters are not allowed"),
        ("batch: {name: null}\njobs: [{name: j, actor: a}]",
            "1:9: batch.name: expected text, found null"),
    ],
)  # fmt: skip
def test_mistake_in_yaml_is_reported_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    """A mistake in YAML is reported with its line and column, like one in TOML."""
    (line,) = mistakes_in(tmp_path, "s.yaml", text)
    assert line.removeprefix("s.yaml:").lstrip() == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (JSON_HEAD + '1},\n\t"retires": 1}]}',
            "2:2: jobs[0].retires: unknown field 'retires'; did you mean 'retries'?"),
        ('{"batch": {"name" "b"}}', "1:19: is not valid JSON: expecting ':' delimiter"),
        ('{"a": {"b": 1,\n"b": 2}}', "2:1: is not valid JSON: the name already has a value"),
        (JSON_HEAD + "NaN}}]}", "1:75: jobs[0].input.x: nan is not a JSON number"),
        (JSON_HEAD + "9" * 5000 + "}}]}",
            "is not valid JSON: a number has more digits than 64 bits hold"),
        (JSON_HEAD + "[" * 100_000, "is not valid JSON: nested too deeply"),
        (JSON_HEAD + "[" * 200 + "]" * 200 + "}}]}",
            "1:82: jobs[0].input.x[0][0]: is nested more than 100 levels deep"),
        ("[]", "is empty; a spec has a [batch] with a name, and [[jobs]]"),
        ("[1]", "1:1: must be a table with batch and jobs"),
    ],
    ids=lambda text: text[:30],
)  # fmt: skip
def test_mistake_in_json_is_reported_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    """A mistake in JSON is reported with its line and column, like one in TOML."""
    (line,) = mistakes_in(tmp_path, "s.json", text)
    assert line.removeprefix("s.json:").lstrip() == said


def test_alias_repeats_what_was_anchored(tmp_path: Path) -> None:
    """A table that is used twice can be written once."""
    text = YAML + "  - name: k\n    task: t\n    input: *input\n"
    *_, last = jobs(load(tmp_path, "s.yaml", text))
    assert last.input.body == b'{"day":"2026-11-25","no":"no"}'


def test_exponential_aliases_are_refused_quickly(tmp_path: Path) -> None:
    """Ten lines that would expand to a thousand million values are refused."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    (line,) = mistakes_in(tmp_path, "s.yaml", "\n".join(lines))
    assert line == ("s.yaml:6:45: is not valid YAML: more than 1,000,000 values, aliases included")


def test_aliases_obey_the_limit_of_depth(tmp_path: Path) -> None:
    """The depth is counted through aliases."""
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 200))]
    (line,) = mistakes_in(tmp_path, "s.yaml", "\n".join(lines))
    assert line.endswith("is not valid YAML: nested more than 100 levels deep")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1), ("-0", 0), ("0o17", 15), ("017", 17), ("0x1F", 31), ("1.5", 1.5), ("1e3", 1000.0),
        (".5", 0.5), ("true", True), ("True", True), ("yes", "yes"), ("off", "off"), ("~", None),
        ("1:30", "1:30"), ("1_000", "1_000"), ("2026-11-25", "2026-11-25"), ('"1"', "1"),
        ("0o9", "0o9"), ("=", "="), ("<<", "<<"),
    ],
)  # fmt: skip
def test_words_of_yaml_follow_version_1_2(text: str, value: Any) -> None:
    """`no` is a word (Norway), and half past one is text too."""
    assert parse_yaml(f"a: {text}") == {"a": value}
    assert type(parse_yaml(f"a: {text}")["a"]) is type(value)


@given(st.dictionaries(PRINTABLE, TREES, max_size=4))
def test_every_field_of_any_json_has_a_place(tree: dict[str, Any]) -> None:
    """The place of everything that the parsers read is found, in JSON and in YAML."""
    text = json.dumps(tree, indent=2)
    # YAML does not accept a name of more than 1024 characters.
    assume(all(len(str(part)) < 150 for path in paths_in(tree) for part in path))
    positions = JsonPositions(text)
    assert all(path in positions._places for path in paths_in(tree))
    assert positions.repeated == []
    assert parse_yaml(text) == tree
    places = yaml_places(text)
    assert all(places[path] == positions.find(path) for path in paths_in(tree))


def test_included_specs_are_parts_of_the_spec(tmp_path: Path) -> None:
    """Tables of the spec override theirs, their jobs come first, and files are relative to them."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "q.txt").write_text("x\n")
    (tmp_path / "parts" / "i.json").write_text("{}")
    (tmp_path / "parts" / "one.yaml").write_text(
        "include: [two.json]\ndefaults: {retries: 1, input_file: i.json}\n"
        "params: {shop: a, count: 1}\njobs:\n"
        "- {name: 'q-{{ q }}', task: t, matrix: {q: {file: q.txt}}}\n"
    )
    (tmp_path / "parts" / "two.json").write_text('{"defaults": {"retries": 7, "priority": 3}}')
    loaded = load(
        tmp_path,
        "s.toml",
        'include = ["parts/one.yaml", "parts/two.json"]\n[params]\nshop = "b"\n'
        '[batch]\nname = "b"\n[[jobs]]\nname = "{{ shop }}-{{ count }}"\ntask = "t"\n',
    )
    first, second = jobs(loaded)
    assert (first.key, second.key) == ("q-x", "b-1")
    assert (second.retries, second.priority) == (1, 3)
    assert second.input.path == str(tmp_path / "parts" / "i.json")
    before = loaded.sha256
    (tmp_path / "parts" / "two.json").write_text('{"defaults": {"retries": 8, "priority": 3}}')
    assert load_spec(loaded.path).sha256 != before


@pytest.mark.parametrize(
    ("include", "part", "said"),
    [
        ('["part.toml"]', '[[jobs]]\nname = "k"\nactor = "a"\nretires = 1\n',
            "part.toml:4:1: jobs[0].retires: unknown field 'retires'; did you mean 'retries'?"),
        ('["part.toml"]', "[defaults]\nretries = -1\n",
            "part.toml:2:1: defaults.retries: must be at least 0, found -1"),
        ('["part.toml"]', "[pools.x]\nmax_runs = 0\n",
            "part.toml:2:1: pools.x.max_runs: must be greater than 0, found 0"),
        ('["part.toml"]', 'include = ["s.toml"]', "part.toml:1:12: include[0]: s.toml includes "
            "itself"),
        ('["nope.toml"]', "", "s.toml:1:12: include[0]: nope.toml: no such file"),
        ('"part.toml"', "", 's.toml:1:1: include: expected a list of files, found "part.toml"'),
        ('["part.toml"]', "", "part.toml: is empty; a spec has a [batch] with a name, and "
            "[[jobs]]"),
    ],
)  # fmt: skip
def test_mistake_in_an_included_spec_names_its_file(
    tmp_path: Path, include: str, part: str, said: str
) -> None:
    """A mistake is reported for the included file, not for the line that includes it."""
    (tmp_path / "part.toml").write_text(part)
    assert mistakes_in(tmp_path, "s.toml", f"include = {include}\n{TOML}") == [said]


def test_files_that_cannot_be_read_are_named_with_all_other_mistakes(tmp_path: Path) -> None:
    """One round shows every file with a wrong syntax, and what is wrong in the others."""
    (tmp_path / "a.toml").write_text("[defaults]\nactor =\n")
    (tmp_path / "b.yaml").write_text("defaults:\n\tretries: 1\n")
    (tmp_path / "c.json").write_text('{"pools": {"eu": {"max_runs": 0}}}')
    text = (
        'include = ["a.toml", "b.yaml", "none.toml", "c.json"]\n[batch]\nname = "b"\n'
        '[[jobs]]\nname = "{{ shop }}"\nretries = -1\ninput = { x = "{{ shop | nonsense }}" }\n'
    )
    found = mistakes_in(tmp_path, "s.toml", text)
    assert [line.split(": ")[0] for line in found] == [
        "a.toml:2:8",
        "b.yaml:2:1",
        "c.json:1:19",
        "s.toml:1:32",
        "s.toml:6:1",
        "s.toml:7:11",
    ]
