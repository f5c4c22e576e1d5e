"""The examples of the documents do what the documents say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import ORCHESTRATOR, ROOT, ServedPlatform, served_platform
from tests.support.example_runs import Wrong, page_run
from tests.support.examples import is_printed, pages_of, shortened


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPlatform]:
    """An emulator for all pages of this process."""
    folder = tmp_path_factory.mktemp("platform")
    with served_platform(folder, program=ORCHESTRATOR) as platform:
        yield platform


@pytest.mark.parametrize(
    "path",
    [page for page in pages_of(ROOT) if "```" in page.read_text()],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_examples_of_the_page_do_what_it_says(
    path: Path, tmp_path: Path, platform: ServedPlatform
) -> None:
    """Each example of the page can be copied, and does what the page says."""
    page_run(tmp_path, platform).run(path.read_text())


WRONG = {
    "output": "```console\n$ echo four\nfive\n```\n",
    "exit code": "```sh\nfalse\n```\n",
    "expected exit code": "<!-- exit 2 -->\n```sh\ntrue\n```\n",
    "program": "```python\nprint(nothing)\n```\n",
    "spec": '```toml\n[batch]\nname = "a"\nmax_run = 1\n```\n',
    "table of a spec": '```toml\n[[jobs.rules]]\ndo = "pause"\n```\n',
    "json": "```json\n{1}\n```\n",
    "language": "```fortran\n```\n",
    "no language": "```\n```\n",
    "option": "<!-- not run: here -->\n```sh\norchestrator run a.toml --locale | cat\n```\n",
    "extra": "<!-- not run: here -->\n```sh\npip install 'apify-batch[parkett]'\n```\n",
    "target": "<!-- not run: here -->\n```sh\nmake nothing\n```\n",
    "syntax of the shell": "<!-- not run: here -->\n```sh\nfor x in\n```\n",
}


@pytest.mark.parametrize("page", WRONG.values(), ids=WRONG)
def test_example_is_refused_when_it_is_wrong(
    page: str, tmp_path: Path, platform: ServedPlatform
) -> None:
    """A page with a wrong example fails, also one that cannot run here."""
    with pytest.raises((Wrong, ValueError), match="line "):
        page_run(tmp_path, platform).run(page)


def test_examples_of_a_page_share_a_folder(tmp_path: Path, platform: ServedPlatform) -> None:
    """A block uses what the blocks before it have written."""
    page = (
        '```python title="two.py"\nopen("two.txt", "w").write("2")\n```\n'
        "<!-- run: python two.py -->\n"
        "```console\n$ cat two.txt && \\\n>   echo\n2\n```\n"
    )
    page_run(tmp_path, platform).run(page)


@pytest.mark.parametrize(
    ("expected", "printed", "is_right"),
    [
        ("batch 20261127T001423Z-2351649", "batch 20261128T001423Z-0051649", True),
        ("3 jobs in 1.2 s", "3 jobs in 4 s", True),
        ("3 jobs", "4 jobs", False),
        ("first\n…\nlast", "first\na\nb\nlast", True),
        ("first\n…", "second\nfirst", False),
        ("costs … dollars", "costs 5 dollars", True),
        ("│ items  │ 3 │", "│ items │      3 │", True),
        ("the end", "5 of 7 done, 2 running\nthe end", True),
    ],
)
def test_output_may_differ_in_times_and_ids_only(
    expected: str, printed: str, is_right: bool
) -> None:
    """What a page shows is what a command prints, up to ids, times, costs and sizes."""
    assert is_printed(expected, printed) is is_right


def test_page_is_shortened_for_the_suite() -> None:
    """The suite runs a page with the smaller numbers that the page names."""
    page = "<!-- short: 5,000=40 5000=41 -->\n5,000 of 5000, not 15,000 or 5000.5\n"
    assert shortened(page).splitlines()[1] == "40 of 41, not 15,000 or 5000.5"
    assert shortened("<!-- long: why -->\n```sh\n") == "<!-- not run: why -->\n```sh\n"
