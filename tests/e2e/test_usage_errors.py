from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.command import HURRIED, Command, ServedPlatform, sweep

GOOD = sweep(jobs=1, duration_secs=0.01, items=1)


def leaves_nothing(command: Command) -> bool:
    return not (command.folder / "output").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[batch\n", "spec.toml:1:7: is not valid TOML"),
        ('[batch]\nname = "x"\n', "spec.toml: jobs: is missing"),
        (GOOD.replace("actor =", "aktor ="), "unknown field 'aktor'; did you mean 'actor'?"),
        (GOOD.replace("job-{{ n }}", "../x"), "'../x' is not a valid job key"),
        (
            sweep(jobs=2, duration_secs=1).replace("job-{{ n }}", "same"),
            "two jobs have the key 'same'",
        ),
        (GOOD.replace("input = {", 'input_file = "nope.json" #'), "No such file"),
        (GOOD + "x" * 3, "is not valid TOML"),
    ],
    ids=["syntax", "no-jobs", "unknown-field", "unsafe-key", "one-key-twice", "no-file", "tail"],
)
def test_run_refuses_a_bad_spec(command: Command, text: str, said: str) -> None:
    """A spec with a mistake ends with 2, says where and what, and leaves no folder."""
    command.write("spec.toml", text)
    done = command.run("run", "spec.toml")
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err
    assert leaves_nothing(command)


def test_run_refuses_an_input_over_the_limit(command: Command) -> None:
    """An input file larger than the platform accepts is refused before any start."""
    command.write("big.json", '"' + "x" * 9_437_184 + '"')
    command.write("spec.toml", GOOD.replace("input = {", 'input_file = "big.json" #'))
    done = command.run("run", "spec.toml")
    assert done.code == 2
    assert "9,437,186 bytes; the platform accepts at most 9,437,184" in done.err
    assert leaves_nothing(command)


def test_run_refuses_to_start_without_a_token(tmp_path: Path) -> None:
    """Without a token, the message says how to set one."""
    command = Command(folder=tmp_path)
    command.write("spec.toml", GOOD)
    done = command.run("run", "spec.toml")
    assert done.code == 2
    assert "set APIFY_TOKEN" in done.err
    assert leaves_nothing(command)


def test_run_reports_a_wrong_token(tmp_path: Path, platform: ServedPlatform) -> None:
    """A token that the platform refuses ends with 5 and is not shown."""
    variables = {**platform.variables(), "APIFY_TOKEN": "apify_api_wrong"}
    command = Command(folder=tmp_path, variables=variables)
    command.write("spec.toml", GOOD)
    done = command.run("run", "spec.toml")
    assert done.code == 5
    assert "APIFY_TOKEN" in done.err
    assert "apify_api_wrong" not in done.err
    assert leaves_nothing(command)


def test_run_reports_an_unreachable_platform(tmp_path: Path) -> None:
    """A platform that cannot be reached ends with 5 within half a minute."""
    variables = {"APIFY_TOKEN": "apify_api_x", "APIFY_API_BASE_URL": "http://127.0.0.1:9"}
    command = Command(folder=tmp_path, variables=variables)
    command.write("spec.toml", GOOD)
    done = command.run("run", "spec.toml")
    assert done.code == 5
    assert "127.0.0.1:9" in done.err
    assert leaves_nothing(command)


def test_run_names_a_missing_actor(command: Command) -> None:
    """An unknown Actor ends with 2 and is named."""
    command.write("spec.toml", GOOD.replace("orchestrator/simulated", "local/nobody"))
    done = command.run("run", "spec.toml")
    assert done.code == 2
    assert "actor local/nobody" in done.err
    assert leaves_nothing(command)


def test_run_reports_an_output_that_cannot_be_written(command: Command) -> None:
    """An output folder that cannot be created ends with 2 and a message."""
    command.write("taken", "a file")
    command.write("spec.toml", GOOD)
    done = command.run("run", "spec.toml", "--output", "taken")
    assert done.code == 2
    assert "cannot be written" in done.err


def test_run_reports_an_invalid_config(command: Command) -> None:
    """A wrong setting is an error with its file, its line and the nearest valid name."""
    command.write("config.toml", "max_download = 3\n")
    command.write("spec.toml", GOOD)
    done = command.run("run", "spec.toml")
    assert done.code == 2
    assert (
        "config.toml:1: unknown setting 'max_download'; did you mean 'max_downloads'?" in done.err
    )


def test_run_refuses_a_job_that_can_never_start(command: Command) -> None:
    """A job with more memory than allowed is refused at once with the reason."""
    command.write(
        "spec.toml",
        sweep(jobs=1, batch="max_memory_mbytes = 256", job="memory_mbytes = 512", duration_secs=1),
    )
    done = command.run("run", "spec.toml")
    assert done.code == 2
    assert "job-1: needs 512 MB of memory, and at most 256 MB" in done.err
    assert leaves_nothing(command)


def test_commands_report_a_missing_batch(command: Command) -> None:
    """The error for an unknown batch lists the batches that exist."""
    done = command.run("status", "nightly")
    assert done.code == 2
    assert "no batch 'nightly'" in done.err


def test_batch_that_cannot_be_read_is_not_called_missing(command: Command) -> None:
    """A reader who is told that there is no batch would start it again."""
    command.write("spec.toml", GOOD)
    command.run("run", "spec.toml")
    (command.folder / "output/sweep/latest/ledger.sqlite").write_bytes(b"damaged" * 1000)
    for words in (["status"], ["status", "sweep"], ["retry", "sweep"], ["logs", "sweep", "job-1"]):
        done = command.run(*words)
        assert done.code == 2
        assert "orchestrator: output/sweep/2" in done.err
        assert "cannot be read: " in done.err.splitlines()[-1], done.err


def test_name_of_another_thing_is_said_to_be_one(command: Command) -> None:
    """A spec or a folder without batches, in place of a batch, gives one line."""
    command.write("spec.toml", GOOD)
    command.run("run", "spec.toml")
    for word, kind in {"spec.toml": "a file", "output": "not a batch folder"}.items():
        done = command.run("status", word)
        said = f"orchestrator: no batch '{word}': it is {kind}, and output has these names: sweep"
        assert (done.code, done.err.splitlines()) == (2, [said])


def test_mistake_in_the_arguments_is_an_object_too(command: Command) -> None:
    """With `--json`, also abbreviated, the last line of stderr is the error, as for others."""
    for words in (["--json", "--max-rnus", "3"], ["--max-runs", "ten", "--json"], ["--js"]):
        done = command.run("run", "spec.toml", *words)
        error = json.loads(done.err.splitlines()[-1])
        assert (done.code, done.out, error["code"]) == (2, "", 2), done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--date 0001-01-01", "no batch can be for 0001-01-01: expected a time in the years 1971"),
        ("--resume --date 0026-11-28", "no batch can be for 0026-11-28"),
        ("--resume --occurrence 1970-01-01T00:00+23:59", "no batch can be for 1970-01-01"),
        ("--occurrence 9999-12-31T23:00-12:00", "no batch can be for 9999-12-31"),
        ("--dates 2199-12-31..2200-01-01", "no batch can be for 2200-01-01"),
        (f"--limit {10**22}", "argument --limit: the number does not fit into 64 bits"),
    ],
)
def test_day_or_number_that_nothing_can_hold_is_a_mistake(
    command: Command, words: str, message: str
) -> None:
    """A slip in a year is no bug of ours, and costs nothing."""
    command.write("spec.toml", GOOD)
    done = command.run("run", "spec.toml", *words.split())
    assert (done.code, message in done.err) == (2, True), done.err
    assert not list((command.folder / "output").glob("*/*/ledger.sqlite"))


def test_address_with_a_path_too_much_is_blamed(command: Command) -> None:
    """An address that leads to no endpoint is not taken for a missing Actor alone."""
    command.write("spec.toml", GOOD)
    url = f"{command.variables['APIFY_API_BASE_URL']}/api"
    wrong = replace(command, variables={**command.variables, "APIFY_API_BASE_URL": url})
    done = wrong.run("run", "spec.toml")
    assert (done.code, "; check APIFY_API_BASE_URL" in done.err) == (2, True), done.err
    assert leaves_nothing(command)


@pytest.mark.parametrize(
    ("address", "message", "advice"),
    [
        ("{}/api", "is not the address of the API", "set APIFY_API_BASE_URL"),
        ("api.apify.com", "is not the address of a platform", "correct what it names"),
    ],
)
def test_doctor_does_not_blame_the_token_for_an_address(
    command: Command, address: str, message: str, advice: str
) -> None:
    """What leads to no endpoint is no matter of the token and its permissions."""
    url = address.format(command.variables["APIFY_API_BASE_URL"])
    wrong = replace(command, variables={**command.variables, "APIFY_API_BASE_URL": url})
    done = wrong.run("doctor", "--json")
    found = {check["about"]: check for check in done.json["checks"]}
    assert (done.code, "token" in found, "limits" in found) == (1, False, False), done.out
    assert message in found["platform"]["found"]
    assert advice in found["platform"]["advice"]


def test_wrong_address_is_no_proof_that_data_is_gone(command: Command) -> None:
    """A question that no endpoint hears ends with 2, and names the setting."""
    command.write("spec.toml", GOOD)
    assert command.run("run", "spec.toml").code == 0
    url = f"{command.variables['APIFY_API_BASE_URL']}/api"
    variables = {**command.variables, "APIFY_API_BASE_URL": url}
    wrong = replace(command, variables=variables, program=HURRIED)
    key = next((command.folder / "output").glob("*/latest/jobs/*")).name
    name = next((command.folder / "output").glob("*/latest")).parent.name
    for words in (("verify", name, "--online"), ("logs", name, key)):
        done = wrong.run(*words)
        assert (done.code, "; check APIFY_API_BASE_URL" in done.err) == (2, True), done.err
        assert "does not exist on the platform" not in done.out
