"""Tasks, and Actors and tasks from files."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from apify_emulator import EmulatorOptions, SetupError, serve_emulator
from apify_emulator.faults import load_faults
from tests.emulator.caller import Caller, calling
from tests.emulator.sample_actors import write_actor


async def _task(call: Caller, **body: object) -> str:
    body.setdefault("name", "my-task")
    reply = await call("POST", "actor-tasks", json={"actId": "orchestrator~simulated", **body})
    assert reply.status == 201, reply.body
    task_id: str = reply.data["id"]
    return task_id


async def test_task_run_merges_input_and_options(tmp_path: Path) -> None:
    """The request's input overrides the task's, property by property; so do the options."""
    async with calling(tmp_path) as call:
        task = await _task(
            call,
            input={"items": 5, "nested": {"a": 1, "b": 2}},
            options={"memoryMbytes": 256, "timeoutSecs": 50},
        )
        reply = await call(
            "POST", "actor-tasks/me~my-task/runs", json={"nested": {"a": 9}}, timeout=60
        )
        run = reply.data
        assert reply.status == 201
        assert run["actorTaskId"] == task
        assert (run["options"]["memoryMbytes"], run["options"]["timeoutSecs"]) == (256, 60)
        record = await call("GET", f"actor-runs/{run['id']}/key-value-store/records/INPUT")
        assert record.json() == {"items": 5, "nested": {"a": 9}}


async def test_task_runs_without_a_body(tmp_path: Path) -> None:
    """Without a body the run gets the task's input, by GET too."""
    async with calling(tmp_path) as call:
        task = await _task(call, input={"items": 2, "output": "hi"})
        run = (await call("POST", f"actor-tasks/{task}/runs", waitForFinish=60)).data
        view = (await call("GET", f"datasets/{run['defaultDatasetId']}")).data
        assert view["itemCount"] == 2
        assert (await call("GET", f"actor-tasks/{task}/run-sync")).json() == "hi"
        items = await call("GET", f"actor-tasks/{task}/run-sync-get-dataset-items")
        assert (items.status, len(items.json())) == (201, 2)


async def test_task_can_be_changed_and_deleted(tmp_path: Path) -> None:
    """Tasks are created, read, changed, listed and deleted; names are unique."""
    async with calling(tmp_path) as call:
        task = await _task(call, input={"items": 1})
        again = await call(
            "POST", "actor-tasks", json={"actId": "orchestrator~simulated", "name": "my-task"}
        )
        assert again.error == (409, "actor-task-name-not-unique")
        place = f"actor-tasks/{task}"
        changed = await call("PUT", place, json={"name": "renamed", "options": {"timeoutSecs": 5}})
        assert (changed.data["name"], changed.data["input"]) == ("renamed", {"items": 1})
        # Case does not count between two tasks.
        assert (await call("PUT", place, json={"name": "Renamed"})).data["name"] == "Renamed"
        await call("PUT", f"{place}/input", json={"items": 3})
        assert (await call("GET", f"{place}/input")).json() == {"items": 3}
        assert [one["name"] for one in (await call("GET", "actor-tasks")).data["items"]] == [
            "Renamed"
        ]
        assert (await call("DELETE", place)).status == 204
        assert (await call("GET", place)).error == (404, "record-not-found")


@pytest.mark.parametrize(
    "option",
    [{"memoryMbytes": "1024"}, {"timeoutSecs": True}, {"maxItems": [1]}, {"restartOnError": "no"}],
)
async def test_task_refuses_options_of_another_type(
    tmp_path: Path, option: dict[str, object]
) -> None:
    """A task with such an option gets 400 when it is created and when it changes, not a start."""
    async with calling(tmp_path) as call:
        body = {"actId": "orchestrator~simulated", "options": option}
        assert (await call("POST", "actor-tasks", json=body)).error == (400, "invalid-input")
        task = await _task(call)
        changed = await call("PUT", f"actor-tasks/{task}", json={"options": option})
        assert changed.error == (400, "invalid-input")
        assert (await call("POST", f"actor-tasks/{task}/runs")).status == 201


async def test_task_runs_are_listed_without_a_filter_by_time(tmp_path: Path) -> None:
    """The list of a task's runs ignores filters by time."""
    async with calling(tmp_path) as call:
        task = await _task(call)
        run = (await call("POST", f"actor-tasks/{task}/runs", waitForFinish=60)).data
        await call.finish()
        listed = await call(
            "GET",
            f"actor-tasks/{task}/runs",
            startedAfter="2099-01-01T00:00:00Z",
            status="SUCCEEDED",
        )
        assert [one["id"] for one in listed.data["items"]] == [run["id"]]
        last = await call("GET", f"actor-tasks/{task}/runs/last")
        assert last.data["id"] == run["id"]


def _actor(folder: Path, definition: object, name: str = "one") -> Path:
    place = folder / name / ".actor"
    place.mkdir(parents=True)
    (place / "actor.json").write_bytes(
        definition if isinstance(definition, bytes) else orjson.dumps(definition)
    )
    return folder


async def test_files_define_simulated_actors_and_tasks(tmp_path: Path) -> None:
    """Folders define Actors and tasks; a simulated Actor has its default input in its file."""
    actors = _actor(
        tmp_path / "actors",
        {"name": "shop/crawler", "version": "1.2", "simulated": True, "defaultInput": {"items": 7}},
    )
    (actors / "tasks").mkdir()
    (actors / "tasks" / "daily.json").write_bytes(
        orjson.dumps({"name": "daily", "actor": "shop/crawler", "input": {"duration_secs": 0}})
    )
    async with calling(tmp_path / "data", actors_dirs=(actors,)) as call:
        assert (await call("GET", "acts/shop~crawler")).data["versions"][0][
            "versionNumber"
        ] == "1.2"
        run = (await call("POST", "actor-tasks/~daily/runs", waitForFinish=60)).data
        assert (await call("GET", f"datasets/{run['defaultDatasetId']}")).data["itemCount"] == 7


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        (b"{", "is not valid JSON"),
        (b"[]", "is not a JSON object"),
        ({"version": "0.1"}, '"name" must be a plain name'),
        ({"name": "../x"}, '"name" must be a plain name'),
        ({"name": "x", "input": "./gone.json"}, "does not exist"),
        ({"name": "orchestrator/simulated"}, "is already in the built-in Actors"),
    ],
)
async def test_unusable_actor_files_are_refused_by_name(
    tmp_path: Path, definition: object, words: str
) -> None:
    """The message about a wrong actor.json names the file and what is wrong."""
    actors = _actor(tmp_path / "actors", definition)
    with pytest.raises(SetupError, match="one") as caught:
        async with serve_emulator(EmulatorOptions(data_dir=tmp_path / "d", actors_dirs=(actors,))):
            pass
    assert words in str(caught.value)


async def test_files_of_an_editor_on_windows_are_read(tmp_path: Path) -> None:
    """A byte order mark and CRLF in the files of Actors, tasks and faults do not matter."""
    actors = write_actor(tmp_path / "actors", "one", "", simulated=True, input="./in.json")
    (actors / "tasks").mkdir()
    files = {
        "one/.actor/in.json": {"type": "object", "properties": {"items": {"type": "integer"}}},
        "one/.actor/pay_per_event.json": {
            "ok": {"eventTitle": "Ok", "eventDescription": "o", "eventPriceUsd": 0.5}
        },
        "tasks/daily.json": {"name": "daily", "actor": "local/one", "input": {"items": 2}},
        "one/.actor/actor.json": orjson.loads((actors / "one/.actor/actor.json").read_bytes()),
    }
    for name, value in files.items():
        (actors / name).write_bytes(b"\xef\xbb\xbf" + orjson.dumps(value) + b"\r\n")
    faults = tmp_path / "faults.json"
    faults.write_bytes(b'\xef\xbb\xbf{\r\n"seed": 7}\r\n')
    assert load_faults(faults).seed == 7
    async with calling(tmp_path / "data", actors_dirs=(actors,)) as call:
        run = (await call("POST", "actor-tasks/~daily/runs", waitForFinish=60)).data
        assert (await call("GET", f"datasets/{run['defaultDatasetId']}")).data["itemCount"] == 2
