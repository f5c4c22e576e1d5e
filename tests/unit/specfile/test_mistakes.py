from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import SpecError
from orchestrator.specfile import load_spec
from tests.support.specs import MINIMAL, jobs_of, mistakes_of

# ruff: noqa: ISC004 - the sentences are long
JOB = '[batch]\nname = "b"\n[[jobs]]\nname = "j"\nactor = "a/b"\n'
SWEEP = '[batch]\nname = "b"\n[[jobs]]\nname = "j-{{ n }}"\nactor = "a/b"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[batch\n",
            "spec.toml:1:7: is not valid TOML: expected ']' at the end of a table declaration",
        ),
        ("", "spec.toml: is empty; a spec has a [batch] with a name, and [[jobs]]"),
        ("[batch]\nname = 3\n" + JOB[18:], "spec.toml:2:1: batch.name: expected text, found 3"),
        (
            JOB.replace('"b"', '"../b"', 1),
            "spec.toml:2:1: batch.name: must be 1 to 100 of A-Za-z0-9._=-, not starting with a "
            'dot, because it names a folder, found "../b"',
        ),
        (
            JOB + "memory = 1\n",
            "spec.toml:6:1: jobs[0].memory: unknown field 'memory'; did you mean 'memory_mbytes'?",
        ),
        (
            JOB + "maxItems = 1\n",
            "spec.toml:6:1: jobs[0].maxItems: unknown field 'maxItems'; did you mean 'max_items'?",
        ),
        (
            JOB + "memory_mbytes = 300\n",
            "spec.toml:6:1: jobs[0].memory_mbytes: must be a power of two from 128 to 32768 "
            "(megabytes), found 300",
        ),
        (
            JOB + "wait_for_finish_secs = 61\n",
            "spec.toml:6:1: jobs[0].wait_for_finish_secs: must be at most 60, found 61",
        ),
        (
            JOB + 'retries = "two"\n',
            'spec.toml:6:1: jobs[0].retries: expected a whole number, found "two"',
        ),
        (
            JOB + 'mode = "fast"\n',
            'spec.toml:6:1: jobs[0].mode: expected "async" or "sync", found "fast"',
        ),
        (
            JOB + 'task = "a/c"\n',
            "spec.toml:6:1: jobs[0].task: give actor or task, not both",
        ),
        (
            JOB.replace('actor = "a/b"', ""),
            "spec.toml:3:1: jobs[0]: needs actor or task: what to run",
        ),
        (
            JOB + 'pools = ["shop"]\n',
            "spec.toml:6:10: jobs[0].pools[0]: unknown pool 'shop'; known here: none",
        ),
        (
            JOB + 'output_record_key = "X"\n',
            "spec.toml:6:1: jobs[0].output_record_key: works in sync mode only",
        ),
        (
            JOB + 'mode = "sync"\nwait_for_finish_secs = 5\n',
            "spec.toml:7:1: jobs[0].wait_for_finish_secs: works in async mode only",
        ),
        (
            JOB + "reuse = 24\n",
            'spec.toml:6:1: jobs[0].reuse: must be an age such as "24h" or "7d" (s, m, h, d, w), '
            "found 24",
        ),
        (
            JOB + "collect.fromat = 'csv'\n",
            "spec.toml:6:1: jobs[0].collect.fromat: unknown field 'fromat'; did you mean 'format'?",
        ),
        (
            SWEEP + "matrix = { n = 3 }\n",
            "spec.toml:6:12: jobs[0].matrix.n: expected a list of values, "
            "{ range = [first, last] }, { dates = [first, last] } or { file = NAME }, found 3",
        ),
        (
            SWEEP + "matrix = { n = { range = [3, 1] } }\n",
            "spec.toml:6:12: jobs[0].matrix.n: has no values: the step leads away "
            "from the last number",
        ),
        (
            SWEEP + "matrix = { m = [1] }\n",
            "spec.toml:4:1: jobs[0].name: unknown name 'n'; known here: date, m",
        ),
        (
            JOB + "matrix = { n = [1, 2] }\n",
            "spec.toml:4:1: jobs[0].name: two jobs have the key 'j' (case does not count): jobs[0] "
            "where n = 1, and jobs[0] where n = 2; put n into the name",
        ),
        (
            JOB.replace('"j"', '"a b"'),
            "spec.toml:4:1: jobs[0].name: 'a b' is not a valid job key: use 1 to 200 of "
            "A-Za-z0-9._=-, with no dot at the start; the filter slug makes any text valid",
        ),
        (
            JOB + 'build = "{{ env.B }}"\n',
            "spec.toml:6:1: jobs[0].build: env works only in the values of an input table: it is a "
            "secret",
        ),
        (
            JOB + 'input = { key = "{{ env.B }}" }\n',
            "spec.toml:6:11: jobs[0].input.key: the environment variable B is not set",
        ),
        (
            JOB + 'input = { key = "{{ date.upper() }}" }\n',
            "spec.toml:6:11: jobs[0].input.key: functions and methods cannot be called in a "
            "template; use filters",
        ),
        (
            JOB + 'input_file = "nope.json"\n',
            "No such file or directory",
        ),
        (JOB + "input = { a = nan }\n",
            "spec.toml:6:11: jobs[0].input.a: nan is not a JSON number"),
        (
            JOB + "input = { a = 99999999999999999999 }\n",
            "spec.toml:6:11: jobs[0].input.a: the number does not fit into 64 bits",
        ),
        (
            JOB + "input = { a = " + "[" * 150 + "]" * 150 + " }\n",
            "spec.toml:6:17: jobs[0].input.a[0][0]: is nested more than 100 levels deep",
        ),
        (
            JOB + "input.a = " + "[" * 5000 + "]" * 5000 + "\n",
            "spec.toml: is not valid TOML: nested too deeply",
        ),
        (
            JOB.replace('"b"', "2026-11-25", 1),
            "spec.toml:2:1: batch.name: expected text, found 2026-11-25",
        ),
        (
            JOB.replace('"b"', r'"b\n"', 1),
            "spec.toml:2:1: batch.name: must be 1 to 100 of A-Za-z0-9._=-, not starting with a "
            r'dot, because it names a folder, found "b\n"',
        ),
        (
            JOB.replace("a/b", "../users/me"),
            'spec.toml:5:1: jobs[0].actor: must be an id or "owner/name", found "../users/me"',
        ),
        (
            JOB + "max_runs = 3\n",
            "spec.toml:6:1: jobs[0].max_runs: unknown field 'max_runs'; it belongs in [batch]",
        ),
        (
            JOB.replace("[[jobs]]", "retries = 1\n[[jobs]]"),
            "spec.toml:3:1: batch.retries: unknown field 'retries'; it belongs in [[jobs]]",
        ),
        (
            JOB.replace("[[jobs]]", "[jobs]"),
            "spec.toml:3:1: jobs: expected a list of jobs, in TOML [[jobs]] in double brackets, "
            "found a table",
        ),
        ('[batch]\nname = "b"\n', "spec.toml: jobs: is missing: a spec has at least one [[jobs]]"),
        (
            JOB + "collect = { limit = 5 }\n",
            "spec.toml:6:13: jobs[0].collect.limit: every item is fetched; for fewer items, "
            "make the Actor produce fewer",
        ),
        (
            JOB + "collect = { delimiter = ';', xml_row = 'r' }\n",
            'spec.toml:6:13: jobs[0].collect.delimiter: goes with format = "csv" only',
        ),
        (
            JOB + "collect = { format = 'csv', delimiter = '::' }\n",
            "spec.toml:6:29: jobs[0].collect.delimiter: must be one character",
        ),
        (
            JOB + "expect = { min_items = 5, max_items = 2 }\n",
            "spec.toml:6:12: jobs[0].expect.min_items: must not be more than max_items, which is 2",
        ),
        (
            JOB + "collect = { fields = ['a', 'b.c'] }\nexpect = { fields = ['a', 'b', 'd'] }\n",
            "spec.toml:7:12: jobs[0].expect.fields: needs 'd', which collect.fields leaves out",
        ),
        (
            JOB
            + "collect = { fields = ['a'], output_fields = ['z'] }\n"
            + "expect = { share = { a = 1 } }\n",
            "spec.toml:7:12: jobs[0].expect.share: needs 'a', which collect.fields leaves out",
        ),
        (
            JOB + "collect = { omit = ['url'] }\nexpect = { unique = 'url' }\n",
            "spec.toml:7:12: jobs[0].expect.unique: needs 'url', which collect.omit leaves out",
        ),
        (
            JOB + "[results]\nunique_missing = 'drop'\n",
            "spec.toml:7:1: results.unique_missing: needs unique: the fields that identify an item",
        ),
        (
            JOB + "collect = { skip_failed_pages = true }\n",
            "spec.toml:6:13: jobs[0].collect.skip_failed_pages: goes with simplified = true only",
        ),
        (
            JOB + "collect = { fields = ['a'], output_fields = ['b', 'c'] }\n",
            "spec.toml:6:29: jobs[0].collect.output_fields: must have as many names as fields, "
            "which has 1",
        ),
        (
            SWEEP + "matrix.n = { range = [1, 'x'] }\n",
            'spec.toml:6:26: jobs[0].matrix.n.range[1]: expected a number, found "x"',
        ),
        (
            SWEEP + "matrix.n = { range = [1, 2, 0] }\n",
            "spec.toml:6:1: jobs[0].matrix.n: the step of a range must not be 0",
        ),
        (
            SWEEP + "memory_mbytes = '{{ n }}'\nmatrix.n = [128, 300]\n",
            "spec.toml:6:1: jobs[0].memory_mbytes: must be a power of two from 128 to 32768 "
            "(megabytes), found 300 (where n = 300)",
        ),
        (
            SWEEP + "pools = ['{{ n }}']\nmatrix.n = ['shop']\n[pools.shops]\n",
            "spec.toml:6:10: jobs[0].pools[0]: unknown pool 'shop'; did you mean 'shops'? "
            '(where n = "shop")',
        ),
        (
            JOB + "webhooks = [{ event_types = ['ACTOR.RUN.FALED'], requestUrl = 'https://x' }]\n",
            'spec.toml:6:30: jobs[0].webhooks[0].event_types[0]: unknown value "ACTOR.RUN.FALED"; '
            'did you mean "ACTOR.RUN.FAILED"?',
        ),
        (
            JOB + 'input = { "{{ date }}" = 1 }\n',
            'spec.toml:6:11: jobs[0].input."{{ date }}": the name of a field cannot be a template',
        ),
        (
            JOB + 'input = "{{ date }}"\n',
            "spec.toml:6:1: jobs[0].input: '{{ date }}' gives \"2026-11-25\"; "
            "an input must be a table",
        ),
        (JOB + "input_file = '.'\n", "is not a regular file"),
        (JOB + "input_file = '/dev/zero'\n", "/dev/zero is not a regular file"),
        (JOB + "name = 'k'\n",
            "spec.toml:6:11: is not valid TOML: the name already has a value"),
        (
            JOB + 'build = "\\q"\n',
            r"spec.toml:6:12: is not valid TOML: write a backslash as \\ in double quotes, or "
            "use single quotes",
        ),
        (
            JOB + "[[jobs]]\nname = 'J'\ntask = 't'\n",
            "spec.toml:7:1: jobs[1].name: two jobs have the key 'J' (case does not count): "
            "jobs[0], and jobs[1]",
        ),
    ],
)  # fmt: skip
def test_mistake_is_reported_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    """A mistake has the file, line, column, field, what was found and what was expected."""
    said = mistakes_of(tmp_path, text)
    assert any(expected in line for line in said), said


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    """Mistakes in several tables are reported together, in the order of the file."""
    text = '[batch]\nnme = "b"\n[defaults]\nretries = -1\n[[jobs]]\nname = 3\nactor = "a/b"\n'
    assert [line.split(": ")[1] for line in mistakes_of(tmp_path, text)] == [
        "batch.nme",
        "defaults.retries",
        "jobs[0].name",
    ]


def test_many_mistakes_are_counted_and_the_first_ones_shown(tmp_path: Path) -> None:
    """A sweep with a thousand wrong keys shows twenty of them, and their number."""
    said = mistakes_of(
        tmp_path, SWEEP.replace("j-{{", "/{{") + "matrix.n = { range = [1, 1000] }\n"
    )
    assert len(said) == 21
    assert said[-1] == "… and 980 more mistakes"


def test_too_many_jobs_are_refused_before_they_are_made(tmp_path: Path) -> None:
    """A matrix with too many cells is refused by its size alone."""
    text = SWEEP.replace('"b"', '"b"\nmax_jobs = 10', 1) + "matrix.n = { range = [1, 99999999] }\n"
    assert mistakes_of(tmp_path, text) == [
        "spec.toml:3:1: batch.max_jobs: the spec expands to 99,999,999 jobs, more than max_jobs = "
        "10 allows"
    ]


def test_messages_have_no_secret_values(tmp_path: Path) -> None:
    """The error for a template with a secret has the secret's name, not its value."""
    text = JOB + 'input = { key = "{{ env.B }} {{ nope }}" }\n'
    assert "hush" not in " ".join(mistakes_of(tmp_path, text, env={"B": "hush"}))


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    """For any file, the loader either succeeds or reports mistakes."""
    path = tmp_path / "spec.toml"
    path.write_bytes(content)
    try:
        load_spec(path)
    except SpecError as error:
        assert error.mistakes  # noqa: PT017 - both are right, and this one has a reason


@given(st.text(alphabet='[]{}"=.,#\n ab1{{}}|', max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_tail_is_read_or_refused(tmp_path: Path, tail: str) -> None:
    """Any text after a valid spec only causes mistakes."""
    mistakes_of(tmp_path, MINIMAL + tail)


def test_misspelt_field_is_not_reported_as_missing_too(tmp_path: Path) -> None:
    """A required field with a misspelt name is one mistake, not two."""
    assert mistakes_of(tmp_path, JOB.replace('name = "j"', 'nam = "j"')) == [
        "spec.toml:4:1: jobs[0].nam: unknown field 'nam'; did you mean 'name'?"
    ]


def test_mistake_of_the_defaults_is_reported_once(tmp_path: Path) -> None:
    """A mistake that all jobs share is reported once."""
    text = JOB + '[[jobs]]\nname = "k"\nactor = "a/b"\n[defaults]\nbuild = "{{ x }}"\n'
    assert mistakes_of(tmp_path, text) == [
        "spec.toml:10:1: defaults.build: unknown name 'x'; known here: date"
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cuntry": "de"}, "--param cuntry: unknown parameter 'cuntry'; did you mean 'country'?"),
        ({"count": "two"}, "--param count=two: expected a whole number"),
        ({"count": "2.5"}, "--param count=2.5: expected a whole number"),
    ],
    ids=["unknown", "no-number", "no-whole-number"],
)
def test_wrong_parameter_is_an_error(tmp_path: Path, given: dict[str, str], said: str) -> None:
    """A parameter of the command line needs a name and a type that the spec has."""
    with pytest.raises(SpecError) as caught:
        jobs_of(tmp_path, JOB + "[params]\ncountry = 'us'\ncount = 1\n", params=given)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nope.toml", "nope.toml: no such file"),
        ("folder", "folder: is a folder; name the spec in it"),
        (
            "spec.txt",
            "spec.txt: a spec has one of the endings '.toml', '.yaml', '.yml', '.json', found "
            "'.txt'",
        ),
    ],
)
def test_file_that_is_not_a_spec_is_refused(tmp_path: Path, name: str, said: str) -> None:
    """The message says that the file is not a spec."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "spec.txt").touch()
    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path / name)
    assert str(caught.value) == f"{tmp_path}/{said}"


def test_text_that_is_not_utf8_is_refused_with_its_place(tmp_path: Path) -> None:
    """A spec in another encoding is refused at its first wrong byte."""
    (tmp_path / "spec.toml").write_bytes(b"[batch]\nname = '\xe9'\n")
    with pytest.raises(SpecError, match=r"spec\.toml:2:9: is not UTF-8 text: found the byte 0xe9"):
        load_spec(tmp_path / "spec.toml")


@pytest.mark.parametrize("field", ["timeout_secs", "wait_for_finish_secs"])
def test_text_that_is_not_a_duration_is_told_what_to_write(tmp_path: Path, field: str) -> None:
    """The message shows the two forms of a duration."""
    assert mistakes_of(tmp_path, f'{JOB}{field} = "10 parsecs"\n') == [
        f'spec.toml:6:1: jobs[0].{field}: expected a whole number, found "10 parsecs"; write '
        'seconds, or a text such as "10m" (s, m, h, d, w)'
    ]


def test_duration_of_the_batch_is_told_what_to_write(tmp_path: Path) -> None:
    """Also where fractions of a second are allowed."""
    text = JOB.replace('name = "b"', 'name = "b"\ndeadline_secs = "soon"')
    assert mistakes_of(tmp_path, text) == [
        'spec.toml:3:1: batch.deadline_secs: expected a number, found "soon"; write seconds, or a '
        'text such as "10m" (s, m, h, d, w)'
    ]
