from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import InputRejected
from orchestrator.model.jobs import ItemsQuery, Mode, Target, TargetKind
from orchestrator.spec import render_input
from orchestrator.spec.sweep import cells, count_cells, range_values
from tests.support.specs import jobs_of

HEAD = '[batch]\nname = "b"\n[params]\nshop = "x"\ncount = 2\n'
JOB = HEAD + '[[jobs]]\nname = "{{ shop }}-{{ n }}"\nactor = "a/b"\n'


def test_matrix_expands_to_its_cross_product(tmp_path: Path) -> None:
    """Every combination is a job; the first parameter changes slowest."""
    text = JOB.replace("{{ n }}", "{{ a }}{{ b }}") + 'matrix = { a = ["x", "y"], b = [1, 2] }\n'
    assert [job.key for job in jobs_of(tmp_path, text)] == ["x-x1", "x-x2", "x-y1", "x-y2"]


def test_lone_expression_keeps_its_type(tmp_path: Path) -> None:
    """A string that is one expression gives the value itself, any other gives text."""
    text = JOB + 'input = { n = "{{ n }}", t = "n={{ n }}", l = ["{{ count }}"] }\nmatrix.n = [1]\n'
    (job,) = jobs_of(tmp_path, text)
    assert job.input.body == b'{"n":1,"t":"n=1","l":[2]}'


def test_option_may_be_a_template(tmp_path: Path) -> None:
    """Numbers can come from the matrix, and are checked like any other."""
    text = JOB + 'memory_mbytes = "{{ n }}"\nmatrix.n = [128, 256]\n'
    assert [job.options.memory_mbytes for job in jobs_of(tmp_path, text)] == [128, 256]


def test_defaults_give_way_to_the_job(tmp_path: Path) -> None:
    """A job's own field wins; what it collects is merged field by field."""
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
    """In sync mode the answer is the output record, so it is wanted unless told otherwise."""
    (job,) = jobs_of(tmp_path, JOB.replace("{{ n }}", "1") + 'mode = "sync"\n')
    assert (job.mode, job.collect.output) == (Mode.SYNC, True)


def test_job_tells_its_parameters(tmp_path: Path) -> None:
    """The parameters of a job are those of the spec and of its cell."""
    (job,) = jobs_of(tmp_path, JOB + "matrix.n = [7]\n", params={"shop": "y"})
    assert (job.key, job.params) == ("y-7", {"shop": "y", "count": 2, "n": 7})


def test_input_file_is_taken_as_it_is(tmp_path: Path) -> None:
    """A file beside the spec is sent byte for byte, with the content type that is told."""
    (tmp_path / "data.bin").write_bytes(b"\x00{{ raw }}")
    text = JOB.replace("{{ n }}", "1") + 'input_file = "data.bin"\ninput_content_type = "x/y"\n'
    (job,) = jobs_of(tmp_path, text)
    assert (job.input.content_type, job.input.size_bytes) == ("x/y", 10)
    assert job.input.path == str(tmp_path / "data.bin")


def test_secret_stays_a_template_until_the_job_starts(tmp_path: Path) -> None:
    """The job holds the expression; the value is rendered for the platform alone."""
    text = JOB + 'input = { key = "{{ env.KEY }}-{{ n }}", a = ["{{ n }}"] }\nmatrix.n = [7]\n'
    (job,) = jobs_of(tmp_path, text, env={"KEY": "hush"})
    assert job.input.body == b'{"key":"{{ env.KEY }}-{{ n }}","a":[7]}'
    assert render_input(job, {"KEY": "hush"}) == b'{"key":"hush-7","a":[7]}'
    with pytest.raises(InputRejected, match="has no KEY"):
        render_input(job, {})


@given(st.dictionaries(st.sampled_from("abc"), st.lists(st.integers(), min_size=1, max_size=4)))
def test_cells_are_as_many_as_counted(matrix: dict[str, list[int]]) -> None:
    """The number of cells is the product of the lists, and all are different combinations."""
    made = list(cells(matrix))
    assert len(made) == count_cells(matrix)


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(-7, 7).filter(bool))
def test_range_has_both_ends_in_its_reach(first: int, last: int, step: int) -> None:
    """A range begins at its first number, never passes its last, and goes by its step."""
    values = list(range_values(first, last, step))
    assert all(min(first, last) <= value <= max(first, last) for value in values)
    if values:
        assert values[0] == first
        assert abs(last - values[-1]) < abs(step)


def test_range_of_decimals_does_not_drift() -> None:
    """Steps of a tenth come out as written."""
    assert list(range_values(0.1, 0.5, 0.1)) == [0.1, 0.2, 0.3, 0.4, 0.5]
