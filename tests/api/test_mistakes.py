"""What a program does wrong is answered with words that say what to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from apify_emulator.testing.handle import EmulatorHandle
from orchestrator import ApifyClient, Batch, Event, Job
from orchestrator.errors import (
    BatchHeld,
    BatchNotFound,
    ConfigError,
    NotAuthorized,
    SpecError,
    UsageError,
)
from tests.api.simulated import simulated, slow, sweep


def made(**options: Any) -> Batch:
    return Batch(name="shops", jobs=[sweep([1])], **options)


async def test_batch_runs_once(emulator: EmulatorHandle) -> None:
    """A second run of the same object would start everything again."""
    batch = made()
    await batch.run()
    with pytest.raises(UsageError, match="a Batch runs once"):
        await batch.run()
    assert len(emulator.runs()) == 1


async def test_listener_that_would_not_be_awaited_is_refused(emulator: EmulatorHandle) -> None:
    """A coroutine function would never run, which only a warning of Python says."""

    async def hear(_event: Event) -> None:
        raise AssertionError

    with pytest.raises(UsageError, match="on_event is called, not awaited"):
        await made().run(hear)  # type: ignore[arg-type]
    assert emulator.runs() == []


async def test_iteration_needs_a_batch_that_was_entered() -> None:
    """`async for` on a batch that does not run names the ways to run it."""
    with pytest.raises(UsageError, match="`async with batch:`"):
        async for _ in made():
            pass


@pytest.mark.parametrize("ask", [lambda batch: batch.jobs, lambda batch: list(batch.items())])
def test_results_need_a_batch_that_was_run(ask: Callable[[Batch], object]) -> None:
    """A batch that was not run has no folder to read."""
    with pytest.raises(UsageError, match=r"Batch\('shops'\) was not run: write `await batch.run"):
        ask(made())


async def test_result_needs_an_end() -> None:
    """A batch that was not run has no result."""
    with pytest.raises(UsageError, match="has no result yet"):
        _ = made().result


async def test_run_sync_in_a_loop_names_await() -> None:
    """In a notebook, where a loop runs, `run_sync` would block everything."""
    with pytest.raises(UsageError, match=r"write `await batch.run\(\)` instead"):
        made().run_sync()


def test_loop_of_another_library_is_refused() -> None:
    """Outside asyncio, as under trio, the words name the way by a thread."""
    with pytest.raises(UsageError, match="runs on asyncio only"):
        made().run().send(None)


def test_folder_that_is_no_batch_is_refused(tmp_path: Path) -> None:
    """The words name the batches that there are; a name whose batches are removed has none."""
    (tmp_path / "output" / "pruned").mkdir(parents=True)
    with pytest.raises(BatchNotFound, match="has these names: none"):
        Batch.open(tmp_path, output=tmp_path / "output")


async def test_missing_token_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is started without a token, and the words say where to get one."""
    monkeypatch.delenv("APIFY_TOKEN", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="there is no API token: set APIFY_TOKEN"):
        await made().run()
    with pytest.raises(ConfigError, match="there is no API token: set APIFY_TOKEN"):
        ApifyClient()


def test_wrong_token_is_refused(emulator: EmulatorHandle, tmp_path: Path) -> None:
    """The error of the platform arrives as ours, without the token."""
    with pytest.raises(NotAuthorized, match="token") as caught:
        made(token="wrong-token-0123456789").run_sync()
    assert "wrong-token" not in str(caught.value)
    assert not (tmp_path / "output").exists()


def test_misspelt_option_is_answered_with_the_right_one() -> None:
    """A misspelt option must not be ignored."""
    with pytest.raises(UsageError, match="unknown option 'max_run'; did you mean 'max_runs'"):
        made(max_run=3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"limit": 0}, "limit: expected PositiveInt, found 0"),
        ({"limit": "2"}, 'limit: expected PositiveInt, found "2"'),
        ({"occurrence": "2026-11-25"}, 'occurrence: expected date | datetime, found "2026-11-25"'),
        ({"select": ["tag:eu"]}, "select: expected str, found a list"),
        ({"actors": "actors"}, 'actors: expected Sequence[str | PathLike[str]], found "actors"'),
        ({"resume": "false"}, 'resume: expected bool, found "false"'),
        ({"settings": ["x"]}, "settings: expected Mapping[str, object], found a list"),
        ({"jobs": simulated("one")}, "jobs: expected a list of Job(…)"),
        ({"jobs": [{"name": "one"}]}, "jobs: expected a list of Job(…)"),
    ],
)
def test_value_of_another_type_is_refused(options: dict[str, Any], said: str) -> None:
    """An option of a wrong type is refused in words before anything starts, and none is ignored."""
    with pytest.raises(UsageError) as caught:
        Batch(**{"name": "shops", "jobs": [sweep([1])], **options})
    assert str(caught.value) == f"Batch: {said}"


def test_option_that_is_none_is_left_out(emulator: EmulatorHandle) -> None:
    """A program passes on what its own caller has not given."""
    assert made(select=None, limit=None, output=None, token=None, actors=None).run_sync().succeeded


@pytest.mark.parametrize(
    ("params", "said"),
    [(["a"], "a table from names to values"), ({"a": None}, "None is no value of a: leave it out")],
)
def test_parameters_of_a_wrong_type_are_refused(tmp_path: Path, params: Any, said: str) -> None:
    """None would become the text null, and a list has no names."""
    with pytest.raises(UsageError, match=f"Batch: params: .*{said}"):
        Batch.from_spec(tmp_path / "shops.toml", params=params)


def test_setting_that_is_wrong_names_itself() -> None:
    """A wrong value of an option is named as the program wrote it."""
    with pytest.raises(UsageError, match=r"^max_runs: must be greater than 0"):
        Batch.from_spec("jobs/quickstart.toml", max_runs=0, local=True).run_sync()


def test_misspelt_setting_names_the_right_one() -> None:
    """An unknown name in `settings` is answered as one in a config file is."""
    with pytest.raises(ConfigError, match=r"unknown setting .counts_settle.; .*counts_settle_secs"):
        made(settings={"counts_settle": 0, "max_runs": 2}).run_sync()


def test_all_mistakes_of_a_batch_are_told_at_once() -> None:
    """A batch that is made in Python is checked as a spec is."""
    jobs = [Job(name="a", actor="x/y", memory_mbytes=100), Job(name="b", retries=-1)]
    with pytest.raises(SpecError) as caught:
        Batch(name="bad name", jobs=jobs)
    assert {mistake.field for mistake in caught.value.mistakes} == {
        "batch.name",
        "jobs[0].memory_mbytes",
        "jobs[1]",
        "jobs[1].retries",
    }
    assert {mistake.file for mistake in caught.value.mistakes} == {"<python>"}


def test_value_that_json_lacks_is_named_by_its_place() -> None:
    """A set, an object or a secret in an input is refused where it stands."""
    inf = Decimal("Infinity")
    jobs = [simulated("a", when=date(2026, 11, 27), what={1, 2}, key=SecretStr("hush"), inf=inf)]
    with pytest.raises(SpecError) as caught:
        Batch(name="shops", jobs=jobs)
    assert str(caught.value).splitlines() == [
        "<python>: jobs[0].input.what: expected a value that JSON has, found set",
        "<python>: jobs[0].input.key: a secret would be stored in files: write {{ env.NAME }}",
        "<python>: jobs[0].input.inf: expected a value that JSON has, found Decimal",
    ]


async def test_unknown_job_is_answered_with_the_nearest(emulator: EmulatorHandle) -> None:
    """A misspelt key of a job names the right one."""
    result = await made().run()
    with pytest.raises(UsageError, match="did you mean 'shop-1'"):
        result.job("shop1")


async def test_second_batch_of_a_name_is_refused_while_the_first_runs(
    emulator: EmulatorHandle,
) -> None:
    """Two batches of one series at once would start everything twice, in one program too."""
    async with Batch(name="shops", jobs=[slow("slow")]):
        with pytest.raises(BatchHeld, match="another process runs this batch"):
            await made().run()
        other = [simulated("slow", duration_secs=0)]
        assert (await Batch(name="shops", jobs=other, concurrent=True).run()).succeeded


@pytest.mark.parametrize("name", ["deleted", "\udcff"])
def test_working_folder_that_no_path_can_have_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A program gets the words of the command before anything starts."""
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    if name == "deleted":
        folder.rmdir()
    with pytest.raises(ConfigError, match="working folder"):
        made(output=tmp_path, token="none").run_sync()
    with pytest.raises(ConfigError, match="working folder"):
        Batch.open("shops", output=tmp_path)
