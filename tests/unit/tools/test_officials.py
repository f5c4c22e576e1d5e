"""The page of the official suites, and how examples of documentation are made to run."""

from __future__ import annotations

from tools.officials.examples import filled_in
from tools.officials.js_examples import complete as complete_js
from tools.officials.page import written
from tools.officials.python_examples import complete as complete_python
from tools.officials.suite import Section

PAGE = """\
# Official suites

| suite | result |
| --- | --- |
| One | 1 of 2 pass |
| Two | 5 of 5 pass |

## One

Text of one.

## Two

Text of two.
"""


def test_written_page_keeps_the_other_suites() -> None:
    """A run of one suite changes its row and its section, and nothing else."""
    page = written(PAGE, Section("One", "New text.", passed=True, summary="2 of 2 pass"))
    assert "| One | 2 of 2 pass |\n| Two | 5 of 5 pass |" in page
    assert page.endswith("## One\n\nNew text.\n\n## Two\n\nText of two.\n")


def test_written_page_adds_a_new_suite_at_the_end() -> None:
    """The first run of a suite gives it a row and a section."""
    page = written(PAGE, Section("Three", "Text.", passed=True, summary="all pass"))
    assert "| Two | 5 of 5 pass |\n| Three | all pass |\n" in page
    assert page.endswith("\n## Three\n\nText.\n")


def test_example_in_python_is_called_and_gets_the_address() -> None:
    """An example that only defines `main` runs it, on the emulator."""
    text = complete_python("TOKEN = 'x'\n\ndef main():\n    ApifyClient(TOKEN)\n", "http://a")
    assert "ApifyClient(TOKEN, api_url='http://a')" in text
    assert text.count("main()") == 2


def test_example_in_javascript_of_commonjs_can_await() -> None:
    """A block with `require` runs as a module, where the documentation's `await` works."""
    text = complete_js(
        "const { X } = require('apify-client');\nf({ token: 'my-token' });", "http://a"
    )
    assert text.startswith("import { createRequire }")
    assert "token: 'my-token', baseUrl: 'http://a'" in text


def test_placeholders_get_real_values_only_as_whole_strings() -> None:
    """The id in the text of a comment or a longer name stays."""
    text = "dataset('dataset-id'); // dataset-id\nother('my-dataset-id')"
    assert filled_in(text, {"dataset-id": "abc"}) == text.replace("'dataset-id'", "'abc'")
