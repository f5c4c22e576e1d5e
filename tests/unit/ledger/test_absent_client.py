from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import postgres_server


@pytest.mark.parametrize("error", ["No module named 'psycopg'", "No module named 'other'"])
def test_tests_that_need_psycopg_are_skipped_where_it_is_absent(
    monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    """The reason says what to install; any other error is still one."""
    monkeypatch.setattr(postgres_server, "find_spec", lambda _name: None)
    report = pytest.CollectReport("tests/test_x.py", "failed", f"E   {error}", [])
    after = postgres_server.skipped_without_client(report, Path("tests/test_x.py"))
    assert after.skipped == ("psycopg" in error)
    assert ("pip install" in str(after.longrepr)) == after.skipped
