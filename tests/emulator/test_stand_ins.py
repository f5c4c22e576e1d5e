"""Stand-ins for Actors: added from files, recorded from real runs, played by input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from apify_emulator.errors import SetupError
from apify_emulator.faults import FaultKind, FaultRule, Faults
from apify_emulator.stand_ins.real_runs import real_runs
from apify_emulator.stand_ins.stand_in_files import StandInRun, StoredValue, write_stand_in
from tests.emulator.caller import TOKEN, Caller, calling
from tests.emulator.emulator_command import run_command
from tests.emulator.sample_actors import write_actor

NAME = "apify/instagram-scraper"
PATH = "actors/apify~instagram-scraper"
SCHEMA = {
    "type": "object",
    "properties": {
        "username": {"type": "string"},
        "limit": {"type": "integer", "default": 5, "minimum": 1},
    },
    "required": ["username"],
}


def _stand_in(folder: Path, *items: Any, name: str = "any-input", **facts: Any) -> None:
    lines = [orjson.dumps(item) for item in items]
    run = StandInRun(name=name, facts=facts, items=lines)
    write_stand_in(folder / "actors", NAME, run, schema=SCHEMA)


async def _played(call: Caller, given: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """Starts a run of the stand-in; returns it at its end, with its items."""
    reply = await call("POST", f"{PATH}/runs", json=given)
    assert reply.status == 201, reply.body
    run = await call.wait(reply.data)
    items = await call("GET", f"datasets/{run['defaultDatasetId']}/items", format="jsonl")
    return run, items.lines


async def test_add_makes_an_actor_that_gives_the_items_of_a_file(tmp_path: Path) -> None:
    """One command replaces an Actor of the Store: its items, cost and schema."""
    items, schema = tmp_path / "items.json", tmp_path / "schema.json"
    items.write_text('[{"likes": 3}, {"likes": 5}]')
    schema.write_bytes(orjson.dumps(SCHEMA))
    data = tmp_path / "data"
    words = ["add", NAME, "--items", str(items), "--schema", str(schema), "--cost", "0.02"]
    done = run_command(*words, "--duration", "10ms", "--data", str(data))
    assert (done.code, done.err) == (0, "")
    async with calling(data) as call:
        run, lines = await _played(call, {"username": "nasa"})
        assert lines == [{"likes": 3}, {"likes": 5}]
        assert (run["status"], run["usageTotalUsd"]) == ("SUCCEEDED", 0.02)
        refused = await call("POST", f"{PATH}/runs", json={"limit": 0})
        assert refused.error == (400, "invalid-input")


def test_add_accepts_an_address_of_the_store(tmp_path: Path) -> None:
    """The address that a browser shows for an Actor names it."""
    (tmp_path / "items.jsonl").write_text('{"a": 1}\n')
    address = f"https://apify.com/{NAME}?fpr=x"
    done = run_command("add", address, str(tmp_path), "--data", str(tmp_path / "data"))
    assert done.out.strip() == str(tmp_path / "data" / "actors" / NAME.replace("/", "~"))


def test_add_accepts_a_folder_and_reports_invalid_files(tmp_path: Path) -> None:
    """The message names the file and the line that is not an item."""
    (tmp_path / "items.jsonl").write_text('{"a": 1}\n[2]\n')
    done = run_command("add", NAME, str(tmp_path), "--data", str(tmp_path / "data"))
    assert done.code == 2
    assert "items.jsonl: line 2 is not a JSON object" in done.err
    (tmp_path / "items.jsonl").unlink()
    (tmp_path / "OUTPUT.json").write_text("{'a': 1}")
    done = run_command("add", NAME, str(tmp_path), "--data", str(tmp_path / "data"))
    assert (done.code, "OUTPUT.json: is not valid JSON" in done.err) == (2, True), done.err
    assert not (tmp_path / "data").exists()


def test_name_that_would_keep_the_emulator_from_starting_is_refused(tmp_path: Path) -> None:
    """The built-in Actor cannot be replaced; one name in other letters is the same stand-in."""
    (tmp_path / "items.jsonl").write_text('{"a": 1}\n')
    data = tmp_path / "data"
    done = run_command("add", "orchestrator/simulated", str(tmp_path), "--data", str(data))
    assert (done.code, "orchestrator/simulated is built in" in done.err) == (2, True), done.err
    assert not data.exists()
    for name in (NAME, "Apify/Instagram-Scraper"):
        done = run_command("add", name, str(tmp_path), "--data", str(data))
        assert (done.code, done.out) == (0, f"{data / PATH}\n")
    done = run_command("exec", "--data", str(data), "--", "true")
    assert done.code == 0, done.err


async def test_stand_in_of_the_account_itself_is_found(tmp_path: Path) -> None:
    """A spec may name an Actor of its own account as `me/shop`, and so may `add`."""
    (tmp_path / "items.jsonl").write_text('{"a": 1}\n')
    done = run_command("add", "me/shop", str(tmp_path), "--data", str(tmp_path / "data"))
    assert done.code == 0, done.err
    async with calling(tmp_path / "data") as call:
        for path in ("me~shop", "local~shop", "~shop"):
            assert (await call("POST", f"actors/{path}/runs", json={})).status == 201


async def test_stand_in_that_is_added_later_exists_at_once(
    tmp_path: Path,
) -> None:
    """The emulator need not restart; a change of the items counts for the next run."""
    async with calling(tmp_path) as call:
        assert (await call("GET", PATH)).status == 404
        _stand_in(tmp_path, {"a": 1})
        assert (await _played(call, {"username": "x"}))[1] == [{"a": 1}]
        _stand_in(tmp_path, {"a": 2}, {"a": 3})
        assert (await _played(call, {"username": "x"}))[1] == [{"a": 2}, {"a": 3}]


async def test_recordings_differ_by_input(tmp_path: Path) -> None:
    """Each input gives its own items; the schema's defaults are filled in before the comparison."""
    _stand_in(tmp_path, {"n": "nasa"}, name="r1", input={"username": "nasa"})
    _stand_in(tmp_path, {"n": "esa"}, name="r2", input={"username": "esa", "limit": 5})
    async with calling(tmp_path) as call:
        assert (await _played(call, {"username": "esa"}))[1] == [{"n": "esa"}]
        assert (await _played(call, {"username": "nasa", "limit": 5}))[1] == [{"n": "nasa"}]
        run, items = await _played(call, {"username": "esa", "limit": 9})
        assert items == [{"n": "esa"}]
        assert run["statusMessage"] == "Played from the recording r2, whose input differs in: limit"


async def test_recordings_of_one_input_are_played_in_turn(tmp_path: Path) -> None:
    """A run that failed and its repetition fail and succeed again."""
    _stand_in(tmp_path, name="r1", input={"username": "x"}, status="FAILED", exitCode=91)
    _stand_in(tmp_path, {"a": 1}, name="r2", input={"username": "x"})
    async with calling(tmp_path) as call:
        run, _ = await _played(call, {"username": "x"})
        assert (run["status"], run["exitCode"]) == ("FAILED", 91)
        assert (await _played(call, {"username": "x"}))[0]["status"] == "SUCCEEDED"


async def test_items_of_a_stand_in_arrive_while_it_runs(tmp_path: Path) -> None:
    """A long run shows its items and its records as the real one did, and survives a restart."""
    _stand_in(tmp_path, *({"i": number} for number in range(999)), durationSecs=1000)
    async with calling(tmp_path) as call:
        run = (await call("POST", f"{PATH}/runs", json={"username": "x"})).data
    async with calling(tmp_path) as call:
        assert (await call("GET", f"actor-runs/{run['id']}")).data["status"] == "RUNNING"
        aborted = (await call("POST", f"actor-runs/{run['id']}/abort")).data
        ended = await call.wait(aborted)
        assert ended["status"] == "ABORTED"
        dataset = (await call("GET", f"datasets/{run['defaultDatasetId']}")).data
        assert dataset["itemCount"] < 100


async def test_record_reads_a_real_run_and_plays_it(tmp_path: Path) -> None:
    """A recorded run has the input, items, records, log, end and cost of the real one."""
    actors = write_actor(tmp_path / "actors", "real", "", simulated=True)
    definition = actors / "real" / ".actor" / "actor.json"
    definition.write_bytes(orjson.dumps({"name": NAME, "simulated": True, "input": SCHEMA}))
    given = {
        "username": "nasa", "items": 1500, "output": {"ok": True}, "cost_usd": 0.5, "log_lines": 2,
    }  # fmt: skip
    async with calling(tmp_path / "real", actors_dirs=(actors,)) as call:
        real, items = await _played(call, given)
        async with real_runs(SecretStr(TOKEN), call.emulator.url) as reader:
            run = await reader.run(real["id"])
            name, _ = await reader.actor(run)
            contents = await reader.contents(run, None)
            schema, _ = await reader.schemas(run)
    write_stand_in(tmp_path / "data" / "actors", name, contents, schema=schema)
    async with calling(tmp_path / "data") as call:
        played, lines = await _played(call, given)
        assert lines == items
        output = await call(
            "GET", f"key-value-stores/{played['defaultKeyValueStoreId']}/records/OUTPUT"
        )
        assert output.json() == {"ok": True}
        log = await call("GET", f"logs/{played['id']}")
        assert b"Line 2\n" in log.body
        assert (played["usageTotalUsd"], played["exitCode"]) == (0.5, 0)


async def test_record_refuses_a_run_that_has_not_ended(tmp_path: Path) -> None:
    """Only a complete run is recorded, and a wrong token is an error."""
    async with calling(tmp_path) as call:
        run = await call.start({"duration_secs": 60})
        with pytest.raises(SetupError, match="RUNNING; record it when it has ended"):
            async with real_runs(SecretStr(TOKEN), call.emulator.url) as reader:
                await reader.run(run["id"])
        with pytest.raises(SetupError, match="refused with 401: User was not found"):
            async with real_runs(SecretStr("wrong"), call.emulator.url) as reader:
                await reader.run(run["id"])


def test_stand_in_with_a_hostile_record_key_stays_in_its_folder(tmp_path: Path) -> None:
    """The key of a recorded record never becomes a path."""
    value = StoredValue(key="../../escape", content_type="text/plain", body=b"x")
    folder = write_stand_in(tmp_path, NAME, StandInRun(records=[value]))
    assert (folder / "recordings" / "any-input" / "record-1").read_bytes() == b"x"
    with pytest.raises(SetupError, match="expected an Actor like"):
        write_stand_in(tmp_path, "../up", StandInRun())


@pytest.mark.parametrize("name", ["../../../precious", "..", "", "a/b"])
def test_recording_of_a_hostile_run_id_replaces_no_folder(tmp_path: Path, name: str) -> None:
    """A server may name a run as it likes: its id leads to no folder elsewhere."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("kept")
    with pytest.raises(SetupError, match="cannot be the name of a recording"):
        write_stand_in(tmp_path / "actors", NAME, StandInRun(name=name))
    assert (precious / "file").read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["precious"]


async def test_record_shows_no_token_that_the_server_quotes(tmp_path: Path) -> None:
    """A refusal with the token and a forged line is one line without the token."""
    rule = FaultRule(do=FaultKind.REFUSE, status=400, message=f"{TOKEN}\n\u009bforged")
    faults = Faults(rules=(rule,))
    async with calling(tmp_path, faults=faults) as call:
        with pytest.raises(SetupError) as caught:
            async with real_runs(SecretStr(TOKEN), call.emulator.url) as reader:
                await reader.run("some-run")
    assert str(caught.value).endswith(": [secret] ?forged")


async def test_run_of_a_stand_in_becomes_that_of_another(tmp_path: Path) -> None:
    """A metamorph plays the recording of the other Actor, whose run it is until it is deleted."""
    _stand_in(tmp_path, {"a": 1}, durationSecs=600)
    other = StandInRun(items=[b'{"b": 2}'])
    write_stand_in(tmp_path / "actors", "apify/other", other)
    async with calling(tmp_path) as call:
        run = (await call("POST", f"{PATH}/runs", json={"username": "x"})).data
        turned = await call(
            "POST", f"actor-runs/{run['id']}/metamorph", json={}, targetActorId="apify~other"
        )
        assert turned.data["metamorphs"][0]["inputKey"] == "INPUT-METAMORPH-1"
        assert (await call.wait(run))["status"] == "SUCCEEDED"
        items = await call("GET", f"datasets/{run['defaultDatasetId']}/items", format="jsonl")
        assert items.lines == [{"b": 2}]
        assert (await call("GET", f"{PATH}/runs")).data["total"] == 0
        listed = (await call("GET", "actors/apify~other/runs")).data["items"]
        assert [one["id"] for one in listed] == [run["id"]]
        assert (await call("DELETE", f"actor-runs/{run['id']}")).status == 204
        assert (await call("GET", "actors/apify~other/runs")).data["total"] == 0
