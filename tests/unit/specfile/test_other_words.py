"""The words of other tools in a spec."""

from __future__ import annotations

import pytest

from orchestrator.specfile.diagnostics import OF_A_BATCH, SYNONYMS, nearest
from orchestrator.specfile.model import BatchTable, JobTable
from orchestrator.specfile.reference import spec_reference


@pytest.mark.parametrize(
    ("table", "word", "ours"),
    [
        (BatchTable, "cron", "schedule"),
        (BatchTable, "max-fails", "stop_after_failures"),
        (BatchTable, "maxForks", "max_runs"),
        (BatchTable, "threads", "max_runs"),
        (BatchTable, "timeout", "deadline_secs"),
        (JobTable, "deps", "needs"),
        (JobTable, "errorStrategy", "rules"),
        (JobTable, "mem_mb", "memory_mbytes"),
        (JobTable, "runtime", "timeout_secs"),
        (JobTable, "timeout", "timeout_secs"),
        (JobTable, "threads", None),
    ],
)
def test_word_of_another_tool_leads_to_ours(
    table: type[BatchTable | JobTable], word: str, ours: str | None
) -> None:
    """What Snakemake, Nextflow, dbt and HyperQueue call a field is not answered with a list."""
    assert nearest(word, table.model_fields) == ours


def test_every_word_leads_to_a_field_that_exists() -> None:
    """A field that is renamed takes the words of other tools with it."""
    reference = spec_reference()
    assert [name for name in {*SYNONYMS.values(), OF_A_BATCH} if f"`{name}`" not in reference] == []
