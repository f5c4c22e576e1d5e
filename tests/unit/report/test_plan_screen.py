from __future__ import annotations

from typing import Any

from orchestrator.report.plan_screen import plan_lines

JOB: dict[str, Any] = {
    "key": "search-us-1",
    "actor": "apify/web-scraper",
    "input": {"country": "us"},
    "memory_mbytes": 1024,
    "pools": ["shop"],
    "tags": [],
    "needs": [],
    "retries": 2,
}
LAST: dict[str, Any] = {**JOB, "key": "search-de-5", "input": {"country": "de"}, "pools": []}
PLAN: dict[str, Any] = {
    "batch": "nightly",
    "jobs": 1234,
    "reused": 0,
    "runs_most": 3702,
    "later": [],
    "requests": 3702,
    "duration_secs": {"low": 3000, "likely": 3900, "high": 6100},
    "memory_gbyte_hours": {"low": 10, "likely": 12.5, "high": 15},
    "cost_usd": {"low": 3.1, "likely": 4.2, "high": 6},
    "max_cost_usd": 25.0,
    "binds": "max_runs = 32",
    "account": None,
    "prices": None,
    "caps": None,
    "unknown": [],
    "first": [JOB],
    "last": [LAST],
}


def test_plan_fits_on_one_screen() -> None:
    """Jobs, requests, time, cost and the limit, then the first and the last job as a table."""
    assert plan_lines(PLAN, 80) == [
        "nightly: 1,234 jobs, at most 3,702 runs",
        "  requests    about 3,702",
        "  time        about 65 min (50 min to 1 h 50 min), limited by max_runs = 32",
        "  memory      about 12.5 GB hours (10 to 15)",
        "  cost        about $4.20 ($3.10 to $6.00), at most $25.00 (max_cost_usd)",
        "",
        "              first job                       last job",
        "  key         search-us-1                     search-de-5",
        "  actor       apify/web-scraper               apify/web-scraper",
        '  input       {"country": "us"}               {"country": "de"}',
        "  memory      1,024 MB                        1,024 MB",
        "  retries     2                               2",
        "  pools       shop                            -",
    ]


def test_plan_never_exceeds_the_terminal_or_the_screen() -> None:
    """Long inputs are cut, and many notes are counted."""
    job = {**JOB, "input": {"urls": ["https://example.com/\x1b[31m"] * 500}}
    notes = [f"the time of 1 job of actor a/{n}" for n in range(40)]
    lines = plan_lines({**PLAN, "first": [job], "unknown": notes}, 80)
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "… and 35 more: --json has all"
    assert not any("\x1b" in line for line in lines)


def test_plan_of_one_job_has_one_column() -> None:
    """A single job is not shown twice."""
    lines = plan_lines({**PLAN, "jobs": 1, "runs_most": 3, "last": []}, 80)
    assert lines[0] == "nightly: 1 job, at most 3 runs"
    assert "              the job" in lines


def test_plan_says_why_we_choose_a_cap() -> None:
    """A cap that the user never set is shown with its reason."""
    cap = {"cap_usd": 0.25, "floor_usd": 0.1, "reason": "4,096 MB for 3,600 s cost so much"}
    assert plan_lines({**PLAN, "caps": {"actor a/b": cap}})[-1] == (
        "cap of each run of actor a/b: $0.25, chosen by us: max_cost_usd needs one, and the job "
        "has no max_total_charge_usd; 4,096 MB for 3,600 s cost so much; the Actor accepts $0.1 or "
        "more"
    )


def test_plan_without_earlier_runs_says_what_is_not_known() -> None:
    """There is no number where nothing is known."""
    lines = plan_lines({
        **PLAN, "duration_secs": None, "memory_gbyte_hours": None, "cost_usd": None, "binds": None,
        "unknown": ["the time of 3 jobs of actor a/b, because there is no earlier run"],
    })  # fmt: skip
    assert lines[2:4] == [
        "  time        not known",
        "  cost        not known, at most $25.00 (max_cost_usd)",
    ]
    assert lines[-1].startswith("not known: the time of 3 jobs")
