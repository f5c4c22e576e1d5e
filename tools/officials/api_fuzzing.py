"""Schemathesis: requests that it makes from Apify's description of the API."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tools.officials.suite import EMULATOR, ROOT, Place, Section, table

VERSION = "4.32.5"
DESCRIPTION = ROOT / "tests" / "data" / "apify-openapi.json"
_ERRORS = "not_a_server_error"
_CONFORMANCE = (
    "response_schema_conformance,content_type_conformance,status_code_conformance,"
    "response_headers_conformance"
)
# What the description and the answer do not agree on, by operation and kind of failure.
_ACCEPTED = {
    ("DELETE /v2/webhooks/{webhookId}", "ST104"): "the description has a body for status 204",
    ("DELETE /v2/webhooks/{webhookId}", "ST109"): "the description has a body for status 204",
    ("GET /v2/datasets/{datasetId}/items", "ST109"): "JSON with `bom=true` begins with a BOM",
    ("PUT /v2/request-queues/{queueId}/requests/{requestId}/lock", "ST103"): (
        "409 `request-handled-or-locked`: the description has the type, and no status for it"
    ),
}
_TEXT = """\
schemathesis {version} on all {operations} operations of Apify's description of the API, with
requests that fit the description and requests that do not.

{results}

Accepted differences of answers from the description:

{accepted}
"""


def api_fuzzing(place: Place) -> Section:
    """Sends the requests twice: once for errors of the server, once for the form of answers."""
    python = place.environment(f"schemathesis=={VERSION}")
    errors = _run(python.parent / "st", place.folder / "errors", _ERRORS, examples=15)
    form = _run(python.parent / "st", place.folder / "form", _CONFORMANCE, examples=10)
    wrong = [failure for failure in _failures(form) if failure not in _ACCEPTED]
    found = _failures(errors)
    rows = [
        ("5xx", _count(errors), str(len(found))),
        ("status, headers, type and schema of the answer", _count(form), str(len(wrong))),
    ]
    text = _TEXT.format(
        version=VERSION,
        operations=_first(r"Operations:\s+(\d+) selected", errors),
        results=table(("check", "requests", "failures"), rows),
        accepted=table(
            ("operation", "reason"),
            sorted({(f"`{what}`", why) for (what, _), why in _ACCEPTED.items()}),
        ),
    )
    if found or wrong:
        print(errors, form, sep="\n")
    summary = f"{len(found)} answers 5xx, {len(wrong)} other failures"
    return Section("Schemathesis on all operations", text, not found and not wrong, summary)


def _run(tool: Path, folder: Path, checks: str, *, examples: int) -> str:
    folder.mkdir()
    command = (
        f'{tool} run {DESCRIPTION} -u "$APIFY_API_BASE_URL" '
        '-H "Authorization: Bearer $APIFY_TOKEN" --phases examples,coverage,fuzzing '
        f"-c {checks} -n {examples} --seed 1 --no-shrink --continue-on-failure --warnings off"
    )
    words = [*EMULATOR, "exec", "--data", str(folder / "data"), "--", "sh", "-c", command]
    done = subprocess.run(words, cwd=folder, check=False, capture_output=True, text=True)
    (folder / "output.txt").write_text(done.stdout)
    return done.stdout


def _failures(output: str) -> list[tuple[str, str]]:
    """Returns the operation and the kind of each failure."""
    found, operation = [], ""
    for line in output.partition("= FAILURES =")[2].splitlines():
        if match := re.match(r"_+ ([A-Z]+ /\S+) _+$", line):
            operation = match[1]
        elif match := re.match(r"- (ST\d+|[A-Z][\w ]+)", line):
            found.append((operation, match[1]))
    if "Test cases:" not in output:
        found.append(("schemathesis", f"did not end: {output[-500:]}"))
    return found


def _count(output: str) -> str:
    made = _first(r"(\d+) generated", output) or "0"
    return f"{int(made):,}"


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else ""
