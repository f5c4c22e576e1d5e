from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import InputRejected, SpecError
from orchestrator.model.jobs import ItemsQuery, Mode, Target, TargetKind
from orchestrator.specfile import expand, load_spec, render_input
from orchestrator.specfile.sweep.cells import Axis, Matrix, Values, cell_at, cells, range_values
from orchestrator.specfile.templates.filters import slug
from tests.support.specs import jobs_of, write_spec

HEAD = '[batch]\nname = "b"\n[params]\nshop = "x"\ncount = 2\n'
JOB = HEAD + '[[jobs]]\nname = "{{ shop }}-{{ n }}"\nactor = "a/b"\n'


def test_matrix_expands_to_its_cross_product(tmp_path: Path) -> None:
    """Every combination is a job; the first parameter changes slowest."""
    text = JOB.replace("{{ n }}", "{{ a }}{{ b }}") + 'matrix = { a = ["x", "y"], b = [1, 2] }\n'
    assert [job.key for job in jobs_of(tmp_path, text)] == ["x-x1", "x-x2", "x-y1", "x-y2"]


def test_lone_expression_keeps_its_type(tmp_path: Path) -> None:
    """A string with only one expression gives the value itself; any other gives text."""
    text = JOB + 'input = { n = "{{ n }}", t = "n={{ n }}", l = ["{{ count }}"] }\nmatrix.n = [1]\n'
    (job,) = jobs_of(tmp_path, text)
    assert job.input.body == b'{"n":1,"t":"n=1","l":[2]}'


def test_option_may_be_a_template(tmp_path: Path) -> None:
    """Numbers can come from the matrix, and are checked like any other."""
    text = JOB + 'memory_mbytes = "{{ n }}"\nmatrix.n = [128, 256]\n'
    assert [job.options.memory_mbytes for job in jobs_of(tmp_path, text)] == [128, 256]


def test_job_wins_over_the_defaults(tmp_path: Path) -> None:
    """A job's own field wins; its `collect` is merged field by field."""
    text = (
        '[batch]\nname = "b"\n[defaults]\nactor = "a/b"\nretries = 2\nmax_total_charge_usd = 0.1\n'
        'collect = { log = true, format = "csv" }\n'
        '[[jobs]]\nname = "one"\nretries = 0\ncollect.clean = true\n'
        '[[jobs]]\nname = "two"\ntask = "t"\n'
    )
    one, two = jobs_of(tmp_path, text)
    assert (one.retries, two.retries) == (0, 2)
    assert one.options.max_total_charge_usd == Decimal("0.1")
    assert one.collect.query == ItemsQuery(format="csv", clean=True)
    assert one.collect.log
    assert two.target == Target(kind=TargetKind.TASK, id="t")


def test_sync_job_collects_its_output(tmp_path: Path) -> None:
    """In sync mode the answer is the output record, so it is collected by default."""
    (job,) = jobs_of(tmp_path, JOB.replace("{{ n }}", "1") + 'mode = "sync"\n')
    assert (job.mode, job.collect.output) == (Mode.SYNC, True)


def test_job_has_its_parameters(tmp_path: Path) -> None:
    """The parameters of a job are those of the spec and of its cell."""
    (job,) = jobs_of(tmp_path, JOB + "matrix.n = [7]\n", params={"shop": "y"})
    assert (job.key, job.params) == ("y-7", {"shop": "y", "count": 2, "n": 7})


def test_parameter_that_is_null_takes_a_text(tmp_path: Path) -> None:
    """Null has no type that the value of the command line could have."""
    spec = {
        "batch": {"name": "x"},
        "params": {"shop": None},
        "jobs": [{"name": "a-{{ shop }}", "actor": "a/b"}],
    }
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(spec))
    for text in ("us", "01"):
        (job,) = expand(load_spec(path), params={"shop": text}, env={}, today=date(2026, 11, 25))
        assert (job.key, job.params) == (f"a-{text}", {"shop": text})


def test_input_file_is_sent_unchanged(tmp_path: Path) -> None:
    """A file beside the spec is sent byte for byte, with the given content type."""
    (tmp_path / "data.bin").write_bytes(b"\x00{{ raw }}")
    text = JOB.replace("{{ n }}", "1") + 'input_file = "data.bin"\ninput_content_type = "x/y"\n'
    (job,) = jobs_of(tmp_path, text)
    assert (job.input.content_type, job.input.size_bytes) == ("x/y", 10)
    assert job.input.path == str(tmp_path / "data.bin")


def test_input_file_with_a_byte_order_mark_says_what_to_do(tmp_path: Path) -> None:
    """An editor on Windows writes the mark; the platform would get what is not JSON."""
    (tmp_path / "in.json").write_bytes(b"\xef\xbb\xbf{}")
    with pytest.raises(SpecError, match=r"begins with a byte order mark.* save it as UTF-8"):
        jobs_of(tmp_path, JOB.replace("{{ n }}", "1") + 'input_file = "in.json"\n')


def test_secret_stays_a_template_until_the_job_starts(tmp_path: Path) -> None:
    """The job has the expression; its value is rendered only for the platform."""
    text = JOB + 'input = { key = "{{ env.KEY }}-{{ n }}", a = ["{{ n }}"] }\nmatrix.n = [7]\n'
    (job,) = jobs_of(tmp_path, text, env={"KEY": "hush"})
    assert job.input.body == b'{"key":"{{ env.KEY }}-{{ n }}","a":[7]}'
    assert render_input(job, {"KEY": "hush"}) == b'{"key":"hush-7","a":[7]}'
    with pytest.raises(InputRejected, match="that are not set: KEY"):
        render_input(job, {})


def crossing(values: Mapping[str, Values]) -> Matrix:
    """The cross product of parameters."""
    axes = (Axis(names=(name,), columns=(column,)) for name, column in values.items())
    return Matrix(axes=tuple(axes))


@given(st.dictionaries(st.sampled_from("abc"), st.lists(st.integers(), min_size=1, max_size=4)))
def test_cells_are_as_many_as_counted(matrix: dict[str, list[int]]) -> None:
    """The number of cells is the product of the lists, and all are different."""
    made = list(cells(crossing(matrix)))
    assert len(made) == crossing(matrix).crossed


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(-7, 7).filter(bool))
def test_range_stays_between_its_ends(first: int, last: int, step: int) -> None:
    """A range begins at its first number, never exceeds its last, and has equal steps."""
    values = list(range_values(first, last, step))
    assert all(min(first, last) <= value <= max(first, last) for value in values)
    if values:
        assert values[0] == first
        assert abs(last - values[-1]) < abs(step)


def test_range_of_decimals_does_not_drift() -> None:
    """Steps of a tenth give exact numbers."""
    assert list(range_values(0.1, 0.5, 0.1)) == [0.1, 0.2, 0.3, 0.4, 0.5]


def test_range_too_long_for_any_list_is_only_counted() -> None:
    """A range is counted without being built."""
    assert crossing({"n": range_values(0, 1e300, 1e-9)}).crossed > 10**300


@given(
    st.dictionaries(
        st.sampled_from("abc"),
        st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True),
        min_size=1,
    )
)
def test_cell_is_found_again_by_its_place(matrix: dict[str, list[int]]) -> None:
    """The cell at a place is the one that the expansion gives there."""
    made = list(cells(crossing(matrix)))
    assert [(place, cell_at(crossing(matrix), place)) for place in range(len(made))] == made


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.text(st.characters(exclude_categories=["C"])), min_size=1, unique_by=slug),
    st.randoms(),
)
def test_keys_do_not_depend_on_the_order_of_values(
    tmp_path: Path, queries: list[str], random: Random
) -> None:
    """The same values in another order give the same keys, one for each value."""
    keys = []
    for _ in range(2):
        values = ", ".join(json.dumps(query, ensure_ascii=False) for query in queries)
        text = JOB.replace("{{ n }}", "{{ n | slug }}") + f"matrix.n = [{values}]\n"
        keys.append({job.key for job in jobs_of(tmp_path, text)})
        random.shuffle(queries)
    assert keys[0] == keys[1]
    assert len(keys[0]) == len(queries)


def test_jobs_are_numbered_without_gaps_in_the_order_of_the_spec(tmp_path: Path) -> None:
    """The jobs of several tables are numbered together."""
    text = JOB + 'matrix.n = [1, 2]\n[[jobs]]\nname = "last"\ntask = "t"\n'
    jobs = jobs_of(tmp_path, text)
    assert [(job.seq, job.key) for job in jobs] == [(0, "x-1"), (1, "x-2"), (2, "last")]


def test_jobs_with_mistakes_are_left_out(tmp_path: Path) -> None:
    """The valid jobs come one by one; the mistakes come at the end."""
    text = JOB + 'memory_mbytes = "{{ n }}"\nmatrix.n = [128, 3, 256]\n'
    jobs = expand(load_spec(write_spec(tmp_path, text)), env={}, today=date(2026, 11, 25))
    assert [next(jobs).key, next(jobs).key] == ["x-128", "x-256"]
    with pytest.raises(SpecError, match=r"found 3 \(where n = 3\)"):
        next(jobs)


def test_time_in_an_input_is_text(tmp_path: Path) -> None:
    """TOML's times reach the Actor as ISO text."""
    (job,) = jobs_of(tmp_path, JOB + "input = { at = 1979-05-27T07:32:00Z }\nmatrix.n = [1]\n")
    assert job.input.body == b'{"at":"1979-05-27T07:32:00+00:00"}'


def test_input_may_be_a_table_of_the_matrix(tmp_path: Path) -> None:
    """A single expression can give the whole input, whose texts are not rendered."""
    text = JOB.replace("{{ n }}", "{{ n.id }}") + 'input = "{{ n }}"\n'
    (job,) = jobs_of(tmp_path, text + 'matrix.n = [{ id = 1, t = "{{ x }}" }]\n')
    assert job.input.body == b'{"id":1,"t":"{{ x }}"}'


def test_webhook_address_is_rendered_and_its_payload_is_not(tmp_path: Path) -> None:
    """The braces in the payload are the platform's own templates."""
    hook = (
        '{ event_types = ["ACTOR.RUN.SUCCEEDED"], request_url = "https://x/{{ n }}", '
        "payload_template = '{\"run\": {{resource}}}' }"
    )
    (job,) = jobs_of(tmp_path, JOB + f"webhooks = [{hook}]\nmatrix.n = [7]\n")
    (webhook,) = job.options.webhooks
    assert webhook.request_url == "https://x/7"
    assert webhook.payload_template == '{"run": {{resource}}}'


def test_common_parts_of_cells_are_built_once(tmp_path: Path) -> None:
    """A million jobs of one sweep do not need a million copies."""
    text = JOB + "input = { a = 1 }\nmemory_mbytes = 128\nmatrix.n = [1, 2]\n"
    one, two = jobs_of(tmp_path, text)
    assert one.input is two.input
    assert one.options is two.options


def test_date_is_a_parameter_if_it_is_used(tmp_path: Path) -> None:
    """A job's parameters have the day only if a template uses it."""
    text = JOB.replace("{{ n }}", "{{ date }}")
    (job,) = jobs_of(tmp_path, text)
    assert (job.key, job.params["date"]) == ("x-2026-11-25", "2026-11-25")


def test_secret_that_fails_is_not_in_the_message(tmp_path: Path) -> None:
    """The reason why a secret cannot be rendered could contain it, so it is not shown."""
    text = JOB + 'input = { key = "{{ [1][env.KEY] }}" }\nmatrix.n = [1]\n'
    (job,) = jobs_of(tmp_path, text, env={"KEY": "hush"})
    with pytest.raises(InputRejected) as caught:
        render_input(job, {"KEY": "hush"})
    assert "hush" not in f"{caught.value}{caught.value.__cause__}"
