from __future__ import annotations

import time
from pathlib import Path

import pytest

from orchestrator.errors import SpecError
from tests.support.specs import jobs_of, mistakes_of

JOB = '[batch]\nname = "b"\n[[jobs]]\nname = "j"\nactor = "a/b"\n'
SWEEP = '[batch]\nname = "b"\n[[jobs]]\nname = "j-{{ n }}"\nactor = "a/b"\n'
TWELVE = """\
[batch]
name = "nightly"
max_run = 8
max_cost_usd = "25"

[pools.shop]
max_runs = 0

[defaults]
retries = -1

[[jobs]]
name = "search-{{ n }}"
actor = "a/b"
memory_mbytes = "1 GB"
pools = ["shp"]
matrix = { n = { range = [3, 1] } }

[[jobs]]
name = "page-{{ q }}"
actor = "https://console.apify.com/actors/tasks/abc123"
input = { urls = ["https://x/{{ page }}"] }
matrix = { q = ["a b", "c"] }

[[jobs]]
name = "last"
input = { q = "{{ date | slg }}" }
needs = ["serach-*", "search-*"]
collect = { format = "cvs" }

[[jobs]]
name = "rows-{{ id }}"
task = "me/t"
timeout_secs = "{{ n }}"
input = { f = { text_file = "no.js" } }
matrix = { rows = { file = "d.csv", types = { n = "int" } } }
"""


def test_mistakes_of_every_kind_are_reported_in_one_round(tmp_path: Path) -> None:
    """Fields, templates, ranges, pools, needs, data and keys: one call names them all."""
    (tmp_path / "d.csv").write_text("id,n\n1,2\n3\nA,4\na,5\nb,-1\nc,x\n")
    assert [line.partition(" ")[0] for line in mistakes_of(tmp_path, TWELVE)] == [
        "d.csv:3:",
        "d.csv:7:3:",
        "spec.toml:3:1:",  # max_run
        "spec.toml:4:1:",  # a number in quotes
        "spec.toml:7:1:",  # max_runs of the pool
        "spec.toml:10:1:",  # retries
        "spec.toml:15:1:",  # memory
        "spec.toml:16:10:",  # pool
        "spec.toml:17:12:",  # range
        "spec.toml:20:1:",  # key
        "spec.toml:21:1:",  # address of a task
        "spec.toml:22:19:",  # name in a template
        "spec.toml:25:1:",  # neither actor nor task
        "spec.toml:27:11:",  # filter
        "spec.toml:28:1:",  # need
        "spec.toml:29:13:",  # format
        "spec.toml:32:1:",  # two jobs with one key
        "spec.toml:34:1:",  # timeout of a row
        "spec.toml:35:17:",  # missing text file
    ]


def test_mended_spec_has_no_further_mistakes(tmp_path: Path) -> None:
    """What the first round says is all that has to be mended."""
    (tmp_path / "d.csv").write_text("id,n\n1,2\nA,4\nb,1\n")
    (tmp_path / "no.js").write_text("1")
    mended = TWELVE
    for wrong, right in (
        ("max_run =", "max_runs ="), ('"25"', "25"), ("= 0", "= 1"), ("-1", "1"),
        ('"1 GB"', "1024"), ('"shp"', '"shop"'), ("[3, 1]", "[1, 3]"),
        ("page-{{ q }}", "page-{{ q | slug }}"),
        ('actor = "https', 'task = "https'), ("{{ page }}", "{{ q }}"),
        ('name = "last"', 'name = "last"\nactor = "a/b"'), ("slg", "slug"), ('"serach-*", ', ""),
        ("cvs", "csv"),
    ):  # fmt: skip
        assert wrong in mended
        mended = mended.replace(wrong, right)
    assert mistakes_of(tmp_path, mended) == []


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("actor = 3\nretries = -1", 2),
        ('actr = "a/b"\nretries = -1', 2),
        ('actor = "a/b"\ninput_file = 3\ninput_content_type = "application/json"', 1),
        ('actor = "a/b"\nneeds = 3\ninput = { d = "{{ needs.x.dataset_id }}" }', 1),
        ('actor = "a/b"\nmode = "snc"\noutput_record_key = "X"', 1),
        ('actor = "a/b"\ncollect = { fields = 3, output_fields = ["x"] }', 1),
        ('actor = "a/b"\nmatrix = { rows = { file = 3 } }\nbuild = "{{ x }}"', 1),
        ('actor = "a/b"\nmatrix = { x = 3 }\nbuild = "{{ x }}"\nmemory_mbytes = "{{ x }}"', 1),
        ('actor = "a/b"\nwebhooks = [{ request_url = "https://x" }]', 1),
    ],
)
def test_one_mistake_is_not_reported_as_others_too(tmp_path: Path, field: str, found: int) -> None:
    """What only follows from another mistake is not a message."""
    text = f'[batch]\nname = "b"\n[[jobs]]\nname = "j"\n{field}\n'
    said = mistakes_of(tmp_path, text)
    assert len(said) == found, said


def test_mistake_shows_its_line_with_a_mark(tmp_path: Path) -> None:
    """The message has the line of the file, and a mark below the column."""
    text = JOB + 'input = { city = "東京", page = "{{ pge }}" }\n[params]\npage = 1\n'
    with pytest.raises(SpecError) as caught:
        jobs_of(tmp_path, text)
    assert str(caught.value).splitlines()[1:] == [
        '     6 | input = { city = "東京", page = "{{ pge }}" }',
        "       |                          ^",
    ]


def test_long_line_is_cut_around_its_mistake(tmp_path: Path) -> None:
    """A line of an export is shown in part, and the mark is at the right place."""
    (tmp_path / "d.csv").write_text(f"id,text,n\n1,{'x' * 500},two{'y' * 90}\n")
    text = SWEEP.replace("{{ n }}", "{{ id }}")
    text += 'matrix.rows = { file = "d.csv", types = { n = "int" } }\n'
    with pytest.raises(SpecError) as caught:
        jobs_of(tmp_path, text)
    line, mark = (line for line in str(caught.value).splitlines() if " | " in line)
    assert len(line) < 120
    assert line[mark.index("^") :].startswith("two")


@pytest.mark.parametrize(
    "text",
    [
        '[notify]\nurls = ["hush-hush"]\n',
        'webhooks = [{ event_types = ["NO"], request_url = "https://x/hush-hush" }]\n',
    ],
)
def test_line_that_may_have_a_secret_is_not_shown(tmp_path: Path, text: str) -> None:
    """Addresses of notifications and webhooks often have a key in them."""
    with pytest.raises(SpecError) as caught:
        jobs_of(tmp_path, JOB + text)
    assert "hush" not in str(caught.value)


def test_mistakes_of_one_place_hide_no_others(tmp_path: Path) -> None:
    """A thousand wrong rows are counted, and the mistake in the last job is shown too."""
    (tmp_path / "d.csv").write_text("n,m\n" + "x\n" * 1000)
    text = SWEEP + 'matrix.rows = { file = "d.csv" }\n[[jobs]]\nname = "k"\n'
    said = mistakes_of(tmp_path, text)
    assert len(said) == 22
    assert said[-2].endswith("jobs[1]: needs actor or task: what to run")


@pytest.mark.parametrize(
    ("given", "secs"), [('"10m"', 600), ('"1.5h"', 5400), ("90", 90), ('"{{ t }}"', 7200)]
)
def test_duration_may_be_written_with_its_unit(tmp_path: Path, given: str, secs: int) -> None:
    """A timeout is a number of seconds or a text such as `10m`, also from a parameter."""
    text = JOB + f'timeout_secs = {given}\nmatrix.t = ["2h"]\n'
    (job,) = jobs_of(tmp_path, text)
    assert job.options.timeout_secs == secs


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("https://console.apify.com/actors/moJRLRc85AitArpNN/input", "moJRLRc85AitArpNN"),
        ("https://console.apify.com/organization/x1/actors/moJRLRc85AitArpNN", "moJRLRc85AitArpNN"),
        ("https://apify.com/apify/web-scraper?fpr=x", "apify/web-scraper"),
        ("https://api.apify.com/v2/acts/apify~web-scraper/runs", "apify/web-scraper"),
    ],
)
def test_address_of_an_actor_is_taken_for_the_actor(
    tmp_path: Path, address: str, target: str
) -> None:
    """What people copy from the browser names the Actor."""
    (job,) = jobs_of(tmp_path, JOB.replace("a/b", address))
    assert job.target.id == target


def test_address_of_a_task_is_taken_for_the_task(tmp_path: Path) -> None:
    """The same holds for a task; in the wrong field, the message says what to write."""
    address = "https://console.apify.com/actors/tasks/abc123/input"
    (job,) = jobs_of(tmp_path, JOB.replace('actor = "a/b"', f'task = "{address}"'))
    assert job.target.id == "abc123"
    (said,) = mistakes_of(tmp_path, JOB.replace("a/b", address))
    assert said.endswith('jobs[0].actor: is the address of a task; write task = "abc123"')


def test_address_of_a_run_alone_names_no_actor(tmp_path: Path) -> None:
    """The page of the runs of all Actors is not that of an Actor named `runs`."""
    address = "https://console.apify.com/actors/runs/abc123"
    (said,) = mistakes_of(tmp_path, JOB.replace("a/b", address))
    assert said.endswith(f'jobs[0].actor: must be an id or "owner/name", found "{address}"')


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('retries = "8"', 'expected a whole number, found "8"; write 8 without quotes'),
        ('memory_mbytes = "2 GB"', 'expected a whole number, found "2 GB"; write 2048'),
        (
            'restart_on_error = "yes"',
            'expected true or false, found "yes"; write true without quotes',
        ),
        ('tags = "eu"', 'expected a list, found "eu"; write ["eu"]'),
    ],
)  # fmt: skip
def test_value_of_a_wrong_type_is_answered_with_the_right_one(
    tmp_path: Path, line: str, said: str
) -> None:
    """The message says what to write, where the intention is clear."""
    assert mistakes_of(tmp_path, f"{JOB}{line}\n")[0].endswith(said)


def test_missing_file_of_a_zip_is_one_mistake(tmp_path: Path) -> None:
    """The parameters that go in step with a file that is missing are not reported."""
    text = (
        SWEEP + 'matrix = { n = [1, 2], m = { file = "no.csv" }, zip = ["n", "m"], sample = 1 }\n'
    )
    (said,) = mistakes_of(tmp_path, text)
    assert said.startswith("spec.toml:6:24: jobs[0].matrix.m: no.csv: no such file")


def test_rows_of_unknown_jobs_are_reported_beside_other_mistakes(tmp_path: Path) -> None:
    """A misspelt source of rows is found in the same call as a mistake in their condition."""
    text = SWEEP.replace("j-{{ n }}", "search") + (
        '[[jobs]]\nname = "{{ url | slug }}"\nactor = "a/c"\n'
        '[jobs.matrix.rows]\nneeds = "serch-*"\nfields = ["url"]\nwhere = "price >"\n'
    )
    assert [line.partition(":")[2][:4] for line in mistakes_of(tmp_path, text)] == ["10:1", "12:1"]


def test_mistake_in_each_of_many_tables_is_found_in_linear_time(tmp_path: Path) -> None:
    """Programs write specs with thousands of jobs, and one wrong word in each of them."""

    def secs_of(count: int) -> float:
        jobs = (f'[[jobs]]\nname = "j{seq}"\nactor = "a/b"\ntagz = ["x"]' for seq in range(count))
        text = "\n".join(['[batch]\nname = "many"', *jobs])
        began = time.process_time()
        assert "unknown field 'tagz'" in mistakes_of(tmp_path, text)[0]
        return time.process_time() - began

    secs_of(10)
    assert secs_of(800) / secs_of(200) < 7


NEEDING = """\
[batch]
name = "b"
[[jobs]]
name = "one-{{ n }}"
actor = "a/b"
matrix = { n = [1, 2] }
[[jobs]]
name = "csv"
actor = "a/b"
collect = { format = "csv", output = true }
[[jobs]]
name = "detail-{{ url }}"
actor = "a/b"
matrix = { rows = { needs = "one-*", fields = ["url"] } }
[[jobs]]
name = "last"
actor = "a/b"
needs = ["one-*", "csv", "detail-*"]
input = { v = VALUE }
"""


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{{ needs['two'].run_id }}", "unknown needed job 'two'"),
        ("{{ needs['two-*'].run_id }}", "unknown needed job 'two-*'; known here"),
        ("{{ needs.csv.dataset }}", "unknown value of needs.csv 'dataset'; did you mean"),
        ("{{ needs['one-1'].output }}", "one-1 keeps no output record; set collect.output = true"),
        ("{{ needs['one-*'].output }}", "one-1 keeps no output record; set collect.output = true"),
        ("{{ needs.csv.items }}", "csv keeps its items as csv, which an input cannot have"),
        ("of {{ needs['one-1'].items }}", "a list cannot be a part of a text"),
        ("of {{ needs['one-*'].run_id }}", "a list cannot be a part of a text"),
        ("of {{ needs['detail-*'].run_id }}", "a list cannot be a part of a text"),
        ("of {{ needs['one-1'] }}", "a table cannot be a part of a text"),
        ("of {{ needs }}", "a table cannot be a part of a text"),
    ],
)
def test_value_that_no_needed_job_has_is_found_before_the_first_start(
    tmp_path: Path, value: str, message: str
) -> None:
    """What an input takes of needed jobs is checked while it has cost nothing."""
    (said,) = mistakes_of(tmp_path, NEEDING.replace("VALUE", f'"{value}"'))
    assert message in said
    assert said.startswith("spec.toml:19:11: jobs[3].input.v: ")


@pytest.mark.parametrize(
    "value",
    [
        "{{ needs['one-1'].items }}",
        "of {{ needs['one-1'].items | length }} and {{ needs['one-*'].run_id | join(' ') }}",
        "of {{ needs['one-1'].items[0].url }}",
        "{{ needs['one-7'].run_id | default('none') }}",
        "{{ needs['one-7'].run_id if needs['one-7'] is defined else 3 }}",
        "{{ needs['detail-7'].run_id }}",
        "{{ needs['o' ~ 'ne-1'].run_id }}",
        "{{ needs.csv.output.anything }} {{ needs.csv.output }}",
        "{{ needs['detail-*'].items }}",
    ],
)
def test_value_that_needed_jobs_may_have_is_no_mistake(tmp_path: Path, value: str) -> None:
    """What only the results can tell, or a default stands for, is left for the start of the job."""
    assert mistakes_of(tmp_path, NEEDING.replace("VALUE", f'"{value}"')) == []


@pytest.mark.parametrize(
    "field",
    [
        'input = { v = "see {{ url }}" }',
        "input = { v = \"see {{ url | objects('url') }}\" }",
        'tags = ["t-{{ url }}"]',
    ],
)
def test_chunk_in_a_text_is_found_before_the_first_start(tmp_path: Path, field: str) -> None:
    """The parameters of chunks of items are lists, whatever the items are."""
    text = (
        f'{JOB}[[jobs]]\nname = "d-{{{{ chunk }}}}"\nactor = "a/b"\n{field}\n'
        'matrix = { rows = { needs = "j", fields = ["url"], chunk = 5 } }\n'
    )
    (said,) = mistakes_of(tmp_path, text)
    assert "a list cannot be a part of a text" in said
    fit = text.replace("{{ url }}", "{{ url | join }} of {{ chunk }}").replace("see ", "")
    assert mistakes_of(tmp_path, fit) == []


def test_need_of_a_key_that_a_table_of_items_cannot_make_is_a_mistake(tmp_path: Path) -> None:
    """`detail` names no job of `detail-{{ url }}`: it would be skipped when all others have run."""
    needed = NEEDING.replace("input = { v = VALUE }\n", "").replace('"detail-*"', '"detail"')
    (said,) = mistakes_of(tmp_path, needed)
    assert said == "spec.toml:18:1: jobs[3].needs: last needs 'detail', but no job has that key"


def test_mistake_in_a_template_is_reported_beside_one_in_the_data(tmp_path: Path) -> None:
    """A template that is not valid, or calls a filter wrongly, needs no parameter to be one."""
    text = SWEEP + (
        'input = { a = "{{ n", b = "{{ n | objects }}" }\n'
        'matrix = { n = { file = "none.csv", column = "n" } }\n'
    )
    wrong = "\n".join(mistakes_of(tmp_path, text))
    assert "none.csv: no such file" in wrong
    assert "jobs[0].input.a: '{{ n' is not a valid template" in wrong
    assert "jobs[0].input.b: the filter objects: missing a required argument: 'field'" in wrong


NAMES = (
    "chunk, columns, delimiter, distinct, encoding, except, fields, file, format, needs, output, "
    "results and 2 more"
)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("need", ["unknown field 'need'; did you mean 'needs'?"]),
        ("items_of", ["is missing", f"unknown field 'items_of'; known here: {NAMES}"]),
    ],
)
def test_wrong_word_for_needs_does_not_hide_what_rows_are(
    tmp_path: Path, word: str, said: list[str]
) -> None:
    """The right names beside it are not mistakes, and each known name is listed once."""
    rows = f'matrix.rows = {{ {word} = "a", fields = ["url"], where = "x > 1" }}\n'
    found = mistakes_of(tmp_path, JOB + rows)
    assert [one.partition(": jobs[0].matrix.rows")[2].partition(": ")[2] for one in found] == said
