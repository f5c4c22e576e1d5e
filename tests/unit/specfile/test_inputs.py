from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.specfile import render_input
from tests.support.specs import MINIMAL, jobs_of, mistakes_of

JOB = '[batch]\nname = "b"\n[[jobs]]\nname = "j-{{ n }}"\nactor = "a/b"\nmatrix.n = ["x", "y"]\n'


def inputs(folder: Path, text: str) -> list[object]:
    """The inputs of the jobs of a spec."""
    return [json.loads(job.input.body or b"null") for job in jobs_of(folder, JOB + text)]


def test_list_of_values_becomes_a_list_of_objects(tmp_path: Path) -> None:
    """The usual shape of `startUrls` comes from a chunk of a list."""
    (tmp_path / "u.txt").write_text("https://a\nhttps://b\nhttps://c\n")
    text = (
        '[batch]\nname = "b"\n[[jobs]]\nname = "j-{{ urls_chunk }}"\nactor = "a/b"\n'
        "input = { startUrls = \"{{ urls | objects('url') }}\" }\n"
        'matrix.urls = { file = "u.txt", chunk_items = 2 }\n'
    )
    assert [json.loads(job.input.body or b"") for job in jobs_of(tmp_path, text)] == [
        {"startUrls": [{"url": "https://a"}, {"url": "https://b"}]},
        {"startUrls": [{"url": "https://c"}]},
    ]


def test_list_in_a_text_is_a_mistake_before_the_start(tmp_path: Path) -> None:
    """A chunk in the middle of an address is refused, with its place and what to write."""
    (tmp_path / "d.csv").write_text("domain\na.com\nb.com\n")
    text = (
        '[batch]\nname = "b"\n[[jobs]]\nname = "c-{{ d_chunk }}"\nactor = "a/b"\n'
        'input = { startUrls = [{ url = "https://{{ d }}" }] }\n'
        'matrix.d = { file = "d.csv", column = "domain", chunk_items = 3 }\n'
    )
    (said,) = mistakes_of(tmp_path, text)
    assert said.startswith("spec.toml:6:26: jobs[0].input.startUrls[0].url: ")
    assert "a list cannot be a part of a text; write {{ NAME }} alone" in said


def test_list_cannot_be_a_key(tmp_path: Path) -> None:
    """A name that is a list is refused, instead of a key in Python's notation."""
    text = JOB.replace('["x", "y"]', '[["x"]]').replace("j-{{ n }}", "{{ n }}")
    (said,) = mistakes_of(tmp_path, text)
    assert "jobs[0].name: a list cannot be a part of a text" in said


def test_text_of_a_file_is_sent_as_it_is(tmp_path: Path) -> None:
    """Code beside the spec reaches the Actor unchanged, with its braces."""
    code = "async ({ page }) => {\n  return `{{ raw }} ${page}`;\n}\n"
    (tmp_path / "page.js").write_text(code)
    assert inputs(tmp_path, 'input = { n = "{{ n }}", f = { text_file = "page.js" } }\n') == [
        {"n": "x", "f": code},
        {"n": "y", "f": code},
    ]


def test_name_of_a_text_file_may_be_a_template(tmp_path: Path) -> None:
    """Each job can have code of its own."""
    (tmp_path / "x.js").write_text("{{ 1 }}")
    (tmp_path / "y.js").write_text("2")
    text = 'input = { list = [{ text_file = "{{ n }}.js" }] }\n'
    assert inputs(tmp_path, text) == [{"list": ["{{ 1 }}"]}, {"list": ["2"]}]


def test_text_file_stays_unrendered_when_a_secret_is_rendered(tmp_path: Path) -> None:
    """The start of the job renders the secret, and leaves the braces of the file alone."""
    (tmp_path / "page.js").write_text("{{ env.KEY }}")
    text = JOB + 'input = { k = "{{ env.KEY }}", f = { text_file = "page.js" } }\n'
    job = jobs_of(tmp_path, text, env={"KEY": "hush"})[0]
    assert render_input(job, {"KEY": "hush"}) == b'{"k":"hush","f":"{{ env.KEY }}"}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('input = { f = { text_file = "no.js" } }\n',
            "spec.toml:7:17: jobs[0].input.f.text_file: no.js: No such file or directory"),
        ('input = { f = { text_file = "raw.js" } }\n',
            "jobs[0].input.f.text_file: raw.js is not UTF-8 text: found the byte 0xe9 at 0"),
        ('input = { f = { text_file = "{{ env.K }}.js" } }\n',
            "jobs[0].input.f.text_file: the name of a file cannot use env or needs"),
        ('input = { f = 1 }\ninput_file = "list.json"\n',
            "jobs[0].input_file: list.json must be a JSON object to go with input, found a list"),
        ('input = { f = 1 }\ninput_file = "list.json"\ninput_content_type = "text/plain"\n',
            "jobs[0].input_content_type: goes with input_file alone: a table is JSON"),
    ],
    ids=["missing", "binary", "secret", "list", "content-type"],
)  # fmt: skip
def test_file_that_does_not_fit_into_an_input_is_a_mistake(
    tmp_path: Path, text: str, said: str
) -> None:
    """The message names the place in the input and the file."""
    (tmp_path / "raw.js").write_bytes(b"\xe9")
    (tmp_path / "list.json").write_text("[1]")
    found = mistakes_of(tmp_path, JOB + text, env={"K": "12345678"})
    assert any(said in line for line in found), found


def test_table_wins_over_the_file_field_by_field(tmp_path: Path) -> None:
    """A base input in a file is completed by the spec; its texts are not templates."""
    (tmp_path / "base.json").write_text('{"a": "{{ raw }}", "b": {"c": 1}, "d": 2}')
    text = 'input_file = "base.json"\ninput = { b = { e = "{{ n }}" }, z = 3 }\n'
    assert inputs(tmp_path, text) == [
        {"a": "{{ raw }}", "b": {"e": n}, "d": 2, "z": 3} for n in ("x", "y")
    ]


def test_each_job_may_have_a_file_of_its_own_below_its_table(tmp_path: Path) -> None:
    """The name of the file can depend on the job, also if the table does not."""
    (tmp_path / "x.json").write_text('{"a": 1}')
    (tmp_path / "y.json").write_text('{"a": 2}')
    text = 'input_file = "{{ n }}.json"\ninput = { z = 3 }\n'
    assert inputs(tmp_path, text) == [{"a": 1, "z": 3}, {"a": 2, "z": 3}]


def test_input_of_a_job_replaces_the_file_of_the_defaults(tmp_path: Path) -> None:
    """A job that sets its own input takes nothing from the defaults, unless it names the file."""
    (tmp_path / "base.json").write_text('{"a": 1}')
    text = 'input = { z = 3 }\n[defaults]\ninput_file = "base.json"\n'
    assert inputs(tmp_path, text) == [{"z": 3}, {"z": 3}]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ('do = "resurrect", input = { a = 1 }', 'goes with do = "restart" only'),
        ('input = { a = "{{ b }}" }', "unknown name 'b'"),
        ('input = { a = "{{ env.HOME }}" }', "env works only in the values of an input table"),
    ],
)
def test_rule_with_an_impossible_input_is_a_mistake(
    tmp_path: Path, rule: str, message: str
) -> None:
    """A rule can change the input of a new run, by values that are known before the batch."""
    text = MINIMAL + f"input = {{ a = 0 }}\nrules = [{{ {rule} }}]\n"
    assert any(message in mistake for mistake in mistakes_of(tmp_path, text))


def test_rule_changes_an_input_by_texts_of_files(tmp_path: Path) -> None:
    """The input of a rule names files as the input of its job; the spec and a mistake say where."""
    (tmp_path / "again.js").write_text("() => {{ 1 }}")
    (tmp_path / "2.js").write_text("two")
    text = MINIMAL.replace('"one"', '"{{ n }}"') + (
        "input = { a = 0 }\nmatrix = { n = [2] }\n"
        'rules = [{ input = { a = [{ text_file = "again.js" }] } }, '
        '{ input = { a = { text_file = "{{ n }}.js" } } }]\n'
    )
    (job,) = jobs_of(tmp_path, text)
    assert [rule.input for rule in job.rules] == ['{"a":["() => {{ 1 }}"]}', '{"a":"two"}']
    (mistake,) = mistakes_of(tmp_path, text.replace("again.js", "none.js"))
    assert "rules[0].input.a[0].text_file" in mistake


def test_rule_changes_an_input_by_values_of_the_cell(tmp_path: Path) -> None:
    """The input of a rule has templates as the input of its job."""
    text = MINIMAL.replace('"one"', '"{{ n }}"') + (
        'input = { a = 0 }\nrules = [{ input = { a = "{{ n }}" } }, { do = "give_up" }]\n'
        "matrix = { n = [1, 2] }\n"
    )
    jobs = jobs_of(tmp_path, text)
    assert [job.rules[0].input for job in jobs] == ['{"a":1}', '{"a":2}']
    assert jobs[0].rules[1].input is None
