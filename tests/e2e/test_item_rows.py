"""Jobs that are made of the items of other jobs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.altered_answers import Answer, gateway
from tests.support.command import Command, ServedPlatform

BATCH = '[batch]\nname = "shops"\n'
STOPPING = "max_runs = 1\nstop_after_failures = 1\n"
ACTOR = 'actor = "orchestrator/simulated"\n'
SEARCH = (
    f'[[jobs]]\nname = "search-{{{{ q }}}}"\n{ACTOR}matrix = {{ q = ["a", "b"] }}\n'
    'input = { duration_secs = 0.01, items = 3, item = { q = "{{ q }}" } }\n'
)


def profiles(rows: str, *, name: str = "profile-{{ q }}-{{ n }}", more: str = "") -> str:
    """A sweep whose rows are the items of the searches."""
    return (
        f'[[jobs]]\nname = "{name}"\n{ACTOR}{more}'
        'input = { duration_secs = 0.01, items = 1, item = { n = "{{ n }}", of = "{{ source }}" } }'
        "\n[jobs.matrix]\n"
        f'rows = {{ needs = "search-*", fields = {{ q = "q", n = "index" }}{rows} }}\n'
    )


def rows_of(done: Any) -> dict[str, dict[str, Any]]:
    lines = (Path(done.json["folder"]) / "jobs.jsonl").read_text().splitlines()
    return {row["key"]: row for row in map(json.loads, lines)}


def items_of(done: Any, key: str) -> list[Any]:
    path = Path(done.json["folder"]) / "jobs" / key / "items.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_items_of_jobs_become_jobs(command: Command) -> None:
    """Each item that fulfils the condition is a job, whose templates use its fields."""
    command.write("s.toml", BATCH + SEARCH + profiles(', where = "index > 0"'))
    done = command.run("run", "s.toml", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 6), done.err
    keys = ["profile-a-1", "profile-a-2", "profile-b-1", "profile-b-2", "search-a", "search-b"]
    assert sorted(rows_of(done)) == keys
    assert items_of(done, "profile-b-2") == [{"n": 2, "of": "search-b", "index": 0}]


def test_chunk_puts_several_items_into_a_job(command: Command) -> None:
    """Each parameter is the list of the values of so many items of one job."""
    text = profiles(", chunk = 2", name="profiles-{{ source }}-{{ chunk }}")
    command.write("s.toml", BATCH + SEARCH + text)
    done = command.run("run", "s.toml", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 6), done.err
    assert items_of(done, "profiles-search-a-1")[0]["n"] == [0, 1]
    assert items_of(done, "profiles-search-a-2")[0]["n"] == [2]


def test_equal_rows_are_one_job_with_distinct(command: Command) -> None:
    """A row that several jobs have made gives one job."""
    text = profiles(", distinct = true", name="profile-{{ n }}").replace('q = "q", ', "")
    command.write("s.toml", BATCH + SEARCH + text.replace(', of = "{{ source }}"', ""))
    done = command.run("run", "s.toml", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 5), done.err


def test_rows_that_give_no_job_are_told(command: Command) -> None:
    """Rows with the same key are a mistake of the spec: the batch does not count as whole."""
    text = profiles("", name="profile-{{ q }}")
    command.write("s.toml", BATCH + SEARCH + text)
    done = command.run("run", "s.toml", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (1, 4), done.err
    assert "profile-{{ q }}: 4 items give no job: another job has the key 'profile-" in done.err
    (sweep,) = done.json["sweeps"]
    assert (sweep["sources"], sweep["jobs"], sweep["left_out"]) == (2, 2, 4)


def test_output_record_gives_rows(command: Command) -> None:
    """The elements of the output record of a job can be rows, as its items can."""
    search = (
        f'[[jobs]]\nname = "search-a"\n{ACTOR}collect = {{ output = true }}\n'
        "input = { duration_secs = 0.01, output = [{ q = 1, index = 7 }, { q = 2, index = 8 }] }\n"
    )
    command.write("s.toml", BATCH + search + profiles(", output = true"))
    done = command.run("run", "s.toml", "--json")
    assert (done.code, sorted(rows_of(done))) == (0, ["profile-1-7", "profile-2-8", "search-a"])


def test_failed_source_costs_no_other_one(command: Command) -> None:
    """The items of the other jobs become jobs, and those of the failed one after its retry."""
    search = SEARCH.replace('["a", "b"]', '["a", "b", "c"]').replace(
        "items = 3", 'fail_attempts = "{{ 1 if q == \'b\' else 0 }}", of = "rows", items = 3'
    )
    command.write("s.toml", BATCH + search + profiles(""))
    done = command.run("run", "s.toml", "--json")
    jobs = done.json["jobs"]
    assert (done.code, jobs["SUCCEEDED"], jobs["FAILED"]) == (1, 8, 1), done.err
    assert "profile-{{ q }}-{{ n }}: the items of 1 job are missing" in done.err
    done = command.run("retry", "shops", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 12), done.err
    (sweep,) = done.json["sweeps"]
    assert (sweep["sources"], sweep["failed"], sweep["jobs"]) == (3, 0, 9)


def test_sweeps_may_follow_each_other(command: Command) -> None:
    """Items of jobs that were made of items give further jobs, and never jobs of their own."""
    third = profiles("", name="{{ n }}-{{ source }}").replace("search-*", "profile-*")
    third = third.replace('q = "q", ', "")
    command.write("s.toml", BATCH + SEARCH + profiles(', where = "index == 0"') + third)
    done = command.run("run", "s.toml", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 6), done.err
    assert "0-profile-a-0" in rows_of(done)


def test_sweep_needs_what_stands_above_it(command: Command) -> None:
    """Jobs of a table further down, or of none, are a mistake, however many tables there are."""
    third = profiles("", name="{{ n }}-{{ source }}").replace("search-*", "profile-*")
    command.write("s.toml", BATCH + SEARCH + third + profiles(""))
    done = command.run("validate", "s.toml")
    assert done.code == 2
    words = "profile-{{ q }}-{{ n }} makes such jobs, and must stand above this table in the spec"
    assert words in done.err
    command.write("s.toml", BATCH + SEARCH + profiles("") + third.replace("profile-*", "shop-*"))
    done = command.run("validate", "s.toml")
    assert (done.code, "no job has a key like 'shop-*'" in done.err) == (2, True), done.err


def test_max_jobs_stops_before_it_is_passed(command: Command) -> None:
    """No job of a source is made that would pass the limit; a higher limit continues."""
    text = BATCH + "max_jobs = 6\n" + SEARCH + profiles("")
    command.write("s.toml", text)
    done = command.run("run", "s.toml", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (3, 5), done.err
    assert "more than 6 jobs (max_jobs)" in done.err
    assert "raise max_jobs in the spec, then resume it with: " in done.err
    command.write("s.toml", text.replace("max_jobs = 6", "max_jobs = 60"))
    done = command.run("resume", "shops", "--accept-changes", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 8), done.err


def test_changed_spec_changes_the_jobs_of_items_that_wait(command: Command) -> None:
    """A job that waits gets its new definition, or is skipped if its item is no longer a row."""
    text = BATCH + SEARCH + profiles("")
    failing = text.replace("items = 1,", 'outcome = "FAILED",')
    command.write("s.toml", failing.replace(BATCH, BATCH + STOPPING))
    done = command.run("run", "s.toml", "--json")
    assert done.code == 3, done.err
    waiting = {key for key, row in rows_of(done).items() if row["status"] == "NOT-STARTED"}
    assert waiting
    text = text.replace('"index" }', '"index" }, where = "index != 1"')
    command.write("s.toml", text.replace("items = 1,", "items = 2,"))
    done = command.run("resume", "shops", "--accept-changes", "--json")
    rows = rows_of(done)
    assert {key: rows[key]["status"] for key in waiting} == {
        key: "SKIPPED" if key.endswith("-1") else "SUCCEEDED" for key in waiting
    }
    assert all(rows[key]["items"] == 2 for key in waiting if not key.endswith("-1"))


def test_limit_and_selection_apply_to_jobs_of_items(command: Command) -> None:
    """A trial with --limit has no more jobs in all; --exclude leaves out jobs of items too."""
    command.write("s.toml", BATCH + SEARCH + profiles(""))
    done = command.run("run", "s.toml", "--limit", "4", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 4), done.err
    done = command.run("run", "s.toml", "--exclude", "name:*-1", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 6), done.err


def test_plan_says_how_many_jobs_usually_come(command: Command) -> None:
    """Before the first batch nobody knows; then the plan says the median, with time and cost."""
    command.write("s.toml", BATCH + "max_runs = 4\n" + SEARCH + profiles(""))
    sentence = "profile-{{ q }}-{{ n }}: as many as search-* makes"
    first = command.run("plan", "s.toml").out
    assert f"later       {sentence} (no earlier batch shows how many)" in first
    # Two searches, and nobody knows how many more.
    assert first.startswith("shops: 2 jobs, at most 2 runs, and those of later jobs\n")
    assert "not known: the time of 2 jobs and the later ones of actor" in first
    assert command.run("run", "s.toml").code == 0
    done = command.run("plan", "s.toml", "--json")
    (later,) = done.json["later"]
    assert later["said"] == f"{sentence} (median of earlier batches: 6)"
    assert (done.json["jobs"], later["usual_jobs"]) == (2, 6)
    # Time, cost and requests are those of the usual number.
    assert done.json["requests"] == 8 * 3
    assert done.json["duration_secs"] is not None, done.json["unknown"]


def test_missing_actor_of_jobs_of_items_is_found_before_the_first_start(
    command: Command, platform: ServedPlatform
) -> None:
    """The Actor of jobs that are made later is checked with the others, also by validate."""
    text = profiles("").replace("orchestrator/simulated", "no/such-actor")
    command.write("s.toml", BATCH + SEARCH + text)
    before = len(platform.runs())
    for words in (("run", "s.toml"), ("validate", "s.toml", "--online")):
        done = command.run(*words)
        assert (done.code, "no/such-actor" in done.err) == (2, True), done.err
    assert len(platform.runs()) == before


def test_new_jobs_may_reuse_earlier_results(command: Command, platform: ServedPlatform) -> None:
    """Jobs that are made of items take the results of an earlier batch, or run; none is left."""
    search = SEARCH.replace('["a", "b"]', "{ range = [1, 20] }")
    text = "max_runs = 20\n" + search + profiles("", more='reuse = "1h"\n')
    command.write("s.toml", BATCH + text)
    for runs in (80, 20):
        before = len(platform.runs())
        done = command.run("run", "s.toml", "--json")
        assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 80), done.err
        assert len(platform.runs()) - before == runs


def test_forgotten_jobs_do_not_end_a_batch_in_silence(command: Command) -> None:
    """If the scheduler loses jobs, the batch stops with 3 and says so; resume starts them."""
    command.write("s.toml", BATCH + SEARCH + profiles(""))
    forgetful = replace(command, program="tests.support.forgetful_scheduler:main_forgetful")
    done = forgetful.run("run", "s.toml", "--json")
    assert (done.code, done.json["jobs"]["NOT-STARTED"]) == (3, 6), done.err
    assert "6 jobs were not started" in done.err
    again = command.run("resume", "shops", "--json")
    assert (again.code, again.json["jobs"]["SUCCEEDED"]) == (0, 8), again.err


IMPOSSIBLE = {
    "no source": ('"search-*"', '"find-*"', "no job has a key like 'find-*'"),
    "taken name": ('q = "q"', 'source = "q"', "source is the key of the job that made the item"),
    "condition": ('"index" }', '"index" }, where = "index >"', "is not valid: unexpected end"),
    "key": ("profile-{{ q }}-{{ n }}", "profile", "must use one of n, q, source"),
    "crossed": ("[jobs.matrix]", "[jobs.matrix]\nx = [1]", "does not go with rows that are items"),
    "no actor": (f"{ACTOR}input", "input", "needs actor or task"),
    "wrong actor": (f"{ACTOR}input", 'actor = "{{ x y }}"\ninput', "is not a valid template"),
    "no name": ('name = "profile-{{ q }}-{{ n }}"\n', "", "name: is missing"),
    "actor": (f"{ACTOR}input", 'actor = "o/{{ q }}"\ninput', "cannot depend on items"),
    "format": (f"{ACTOR}matrix", f'{ACTOR}collect.format = "csv"\nmatrix', 'rows need "jsonl"'),
    "field": ('"index" }', '"index" }, wher = "x"', "did you mean 'where'?"),
    "needs": (f"{ACTOR}input", f'{ACTOR}needs = ["search-a"]\ninput', "is the needs of the rows"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_impossible_rows_are_errors(command: Command, name: str) -> None:
    """What can be known before the first start is an error before it."""
    old, new, message = IMPOSSIBLE[name]
    text = BATCH + SEARCH + profiles("")
    assert old in text
    command.write("s.toml", text.replace(old, new))
    for word in ("validate", "plan", "run"):
        done = command.run(word, "s.toml")
        assert (done.code, message in done.err) == (2, True), done.err


def report(needs: str = '"profile-*"', *, name: str = "report") -> str:
    """A job that needs jobs that are made of items."""
    used = needs.strip('"')
    return (
        f'[[jobs]]\nname = "{name}"\n{ACTOR}needs = [{needs}]\n'
        "input = { duration_secs = 0.01, "
        f"item = {{ runs = '{{{{ needs[\"{used}\"].run_id }}}}' }} }}\n"
    )


def test_job_waits_for_all_jobs_that_items_become(command: Command) -> None:
    """It starts when all sources have given their jobs and these have succeeded, and has all."""
    slow = SEARCH.replace(
        "duration_secs = 0.01", "duration_secs = \"{{ 1 if q == 'b' else 0.01 }}\""
    )
    command.write("s.toml", BATCH + report() + slow + profiles(""))
    done = command.run("run", "s.toml", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 9), done.err
    rows = rows_of(done)
    runs = {row["run_id"] for key, row in rows.items() if key.startswith("profile-")}
    assert set(items_of(done, "report")[0]["runs"]) == runs


def test_job_is_skipped_when_a_source_of_what_it_needs_fails(command: Command) -> None:
    """Its results would lack rows: it is skipped with the reason, and runs after a retry."""
    search = SEARCH.replace(
        "items = 3", "fail_attempts = \"{{ 1 if q == 'b' else 0 }}\", items = 3"
    )
    search = search.replace('of = "rows"', 'of = "needed rows"')
    command.write("s.toml", BATCH + search + profiles("") + report())
    done = command.run("run", "s.toml", "--json")
    assert (done.code, rows_of(done)["report"]["status"]) == (1, "SKIPPED"), done.err
    reason = "it needs jobs of the items of search-b, which is FAILED"
    assert rows_of(done)["report"]["error"] == reason
    done = command.run("retry", "shops", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 9), done.err


def test_job_is_skipped_when_no_item_becomes_what_it_needs(command: Command) -> None:
    """A key that no row has given is named; nothing waits for it forever."""
    command.write("s.toml", BATCH + SEARCH + profiles("") + report('"profile-a-7"'))
    done = command.run("run", "s.toml", "--json")
    assert done.code == 1, done.err
    reason = "it needs profile-a-7, which no item has become"
    assert rows_of(done)["report"]["error"] == reason


def test_needs_by_way_of_items_may_not_be_a_cycle(command: Command) -> None:
    """Two jobs that wait for each other's items are a mistake; a job's own items are none."""
    late = report('"report"', name="search-late")
    command.write("s.toml", BATCH + SEARCH + profiles("") + report() + late)
    done = command.run("validate", "s.toml")
    assert (done.code, "report needs search-late needs report" in done.err) == (2, True), done.err
    command.write("s.toml", BATCH + SEARCH + profiles("") + report(name="search-late"))
    assert command.run("validate", "s.toml").code == 0


def test_job_whose_needs_cannot_be_made_is_not_waited_for(command: Command) -> None:
    """Where max_jobs refuses the jobs that it needs, the batch ends, and says so."""
    text = BATCH + "max_jobs = 4\n" + SEARCH + profiles("") + report()
    command.write("s.toml", text)
    done = command.run("run", "s.toml", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (3, 2), done.err
    assert "more than 4 jobs (max_jobs)" in done.err
    command.write("s.toml", text.replace("max_jobs = 4", "max_jobs = 40"))
    done = command.run("resume", "shops", "--accept-changes", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 9), done.err


def test_half_an_emoji_costs_no_row(command: Command, platform: ServedPlatform) -> None:
    """An Actor has cut a text: its items still are rows and inputs, in this batch and later."""

    def cut(answer: Answer) -> None:
        answer.body = answer.body.replace(b"CUT", rb"\ud83d")

    needs = f'[[jobs]]\nname = "all"\n{ACTOR}needs = ["search-*"]\n'
    needs += "input = { items = 1, item = { all = '{{ needs[\"search-*\"].items }}' } }\n"
    search = SEARCH.replace('{ q = "{{ q }}"', '{ text = "CUT", q = "{{ q }}"')
    command.write("s.toml", BATCH + search + profiles("") + needs)
    with gateway(platform.url, cut) as url:
        cutting = replace(command, variables={**command.variables, "APIFY_API_BASE_URL": url})
        done = cutting.run("run", "s.toml", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 9), done.err
    lines = (Path(done.json["folder"]) / "jobs" / "search-a" / "items.jsonl").read_bytes()
    assert lines.count(rb"\ud83d") == 3
    assert [one["text"] for one in items_of(done, "all")[0]["all"]] == ["\ufffd"] * 6
    command.write("ids.csv", "index\n0\n7\n")
    for rows, jobs in (
        ('results = "shops", columns = ["index"], distinct = true', 3),
        ('file = "ids.csv", except = { results = "shops", key = "index" }', 1),
    ):
        later = f'[batch]\nname = "later"\n[[jobs]]\nname = "j-{{{{ index }}}}"\n{ACTOR}'
        command.write("later.toml", f"{later}matrix = {{ rows = {{ {rows} }} }}\n")
        planned = command.run("plan", "later.toml", "--json")
        assert (planned.code, planned.json["jobs"]) == (0, jobs), planned.err


@pytest.mark.parametrize("chunk", [False, True], ids=["rows", "chunks"])
def test_row_whose_job_failed_is_new_in_the_next_batch(command: Command, *, chunk: bool) -> None:
    """The items of the searches say what was found; only the jobs of rows say what was done."""
    # The values of chunks are not kept, so the items of their jobs have them.
    n, more = ("n[0]", ", chunk = 1") if chunk else ("n", "")
    command.write(
        "s.toml",
        f'{BATCH}[params]\nbad = 1\n[[jobs]]\nname = "search-{{{{ q }}}}"\n{ACTOR}'
        'input = { duration_secs = 0.01, items = 1, item = { n = "{{ q }}" } }\n'
        "matrix = { q = [0, 1, 2] }\n"
        f'[[jobs]]\nname = "profile-{{{{ source }}}}"\n{ACTOR}'
        f'input = {{ duration_secs = 0.01, items = 1, item = {{ n = "{{{{ {n} }}}}" }}, '
        f"outcome = \"{{{{ 'FAILED' if {n} == bad else 'SUCCEEDED' }}}}\" }}\n[jobs.matrix]\n"
        f'rows = {{ needs = "search-*", fields = ["n"]{more}, '
        'except = { results = "shops", key = "n" } }\n',
    )

    def night(*more: str) -> dict[str, str]:
        done = command.run("run", "s.toml", *more, "--json")
        return {key: row["status"] for key, row in rows_of(done).items() if "profile" in key}

    assert len(night()) == 3
    assert night() == {"profile-search-1": "FAILED"}
    # Another series may do it: all batches of the name count.
    assert night("--param", "bad=7") == {"profile-search-1": "SUCCEEDED"}
    assert night() == {}


def test_fewer_rows_than_meant_are_no_secret(command: Command) -> None:
    """A batch of the items of another one warns of the jobs of that one which have failed."""
    command.write("s.toml", BATCH + SEARCH.replace("items = 3", 'outcome = "{{ o }}", items = 3'))
    text = (command.folder / "s.toml").read_text()
    text = text.replace(
        '["a", "b"] }', '["a", "b"], o = ["SUCCEEDED", "FAILED"], zip = ["q", "o"] }'
    )
    command.write("s.toml", text)
    assert command.run("run", "s.toml").code == 1
    later = f'[batch]\nname = "later"\n[[jobs]]\nname = "j-{{{{ index }}}}"\n{ACTOR}'
    command.write("later.toml", f'{later}matrix = {{ rows = {{ results = "shops" }} }}\n')
    done = command.run("run", "later.toml")
    said = "warning: rows doubted reason=output/shops/latest: without the items of 1 job"
    assert (done.code, said in done.err) == (0, True), done.err
