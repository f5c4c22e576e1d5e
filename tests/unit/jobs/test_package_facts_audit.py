from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.unit.jobs.actor_modules import actor_module

MakeDistribution = Callable[..., Distribution]


@pytest.fixture
def audit() -> Iterator[ModuleType]:
    with actor_module("package-facts", "audit") as module:
        yield module


@pytest.fixture
def make_distribution(tmp_path: Path) -> MakeDistribution:
    """Installs files as a separate distribution."""

    def make(
        files: dict[str, bytes], reported: str = "", listed: tuple[str, ...] = ()
    ) -> Distribution:
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)
        info = tmp_path / "sample-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.4\nName: sample\nVersion: 1.2\n{reported}"
        )
        (info / "RECORD").write_text("".join(f"{name},,\n" for name in (*files, *listed)))
        return PathDistribution(info)

    return make


def test_modules_are_sorted_and_inside_the_distribution(
    audit: ModuleType, make_distribution: MakeDistribution
) -> None:
    """Scripts outside and files of other kinds are not modules."""
    files = {"sample/b.py": b"", "sample/__init__.py": b"", "sample/data.json": b""}
    sample = make_distribution(files, listed=("../../bin/sample.py",))
    assert audit.modules(sample) == ["sample/__init__.py", "sample/b.py"]


def test_module_facts_count_what_is_defined_at_any_depth(
    audit: ModuleType, make_distribution: MakeDistribution
) -> None:
    """Methods and inner functions count, and so does a last line without a line feed."""
    code = (
        b'"""Words."""\nimport os.path\nfrom json import loads\nfrom . import a\n'
        b"class A:\n    def f(self):\n        def g(): ...\nasync def h(): ..."
    )
    sample = make_distribution({"sample/__init__.py": code})
    assert audit.module_facts(sample, "sample/__init__.py") == {
        "distribution": "sample",
        "module": "sample",
        "path": "sample/__init__.py",
        "size_bytes": len(code),
        "lines": 8,
        "functions": 3,
        "async_functions": 1,
        "classes": 1,
        "imports": ["json", "os"],
        "has_docstring": True,
    }


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        pytest.param(b"print 'old'\n", 1, id="other grammar"),
        pytest.param(b"a = 1\n\x00\n", 2, id="null byte"),
        pytest.param(b"x = " + b"-" * 100_000 + b"1", 1, id="too deep"),
    ],
)
def test_unreadable_module_is_an_item_with_an_error(
    audit: ModuleType, make_distribution: MakeDistribution, source: bytes, lines: int
) -> None:
    """A module that Python cannot parse has its size and an error."""
    facts = audit.module_facts(make_distribution({"old.py": source}), "old.py")
    assert (facts["module"], facts["size_bytes"], facts["lines"]) == ("old", len(source), lines)
    assert facts["error"].startswith("cannot be parsed: ")
    assert "functions" not in facts


def test_missing_module_is_an_item_with_an_error(
    audit: ModuleType, make_distribution: MakeDistribution
) -> None:
    """A file that is listed and missing is an item with an error, not the end of the run."""
    sample = make_distribution({}, listed=("gone.py",))
    facts = audit.module_facts(sample, "gone.py")
    assert (facts["size_bytes"], facts["error"]) == (0, "cannot be read: No such file or directory")


@pytest.mark.parametrize(
    ("reported", "licence"),
    [
        pytest.param("License-Expression: MIT\nLicense: see file\n", "MIT", id="expression"),
        pytest.param(
            "License: a long text\nClassifier: License :: OSI Approved :: BSD License\n",
            "BSD License",
            id="classifier",
        ),
        pytest.param("License: Apache 2.0\n", "Apache 2.0", id="text"),
        pytest.param("", None, id="none"),
    ],
)
def test_licence_comes_from_the_best_defined_field(
    audit: ModuleType, make_distribution: MakeDistribution, reported: str, licence: str | None
) -> None:
    """Old and new fields for a licence are read."""
    assert audit.distribution_facts(make_distribution({}, reported))["licence"] == licence


def test_distribution_facts_name_version_and_dependencies(
    audit: ModuleType, make_distribution: MakeDistribution
) -> None:
    """The output has what the metadata of the distribution says."""
    reported = (
        "Summary: A sample\nRequires-Python: >=3.9\nRequires-Dist: yarl\nRequires-Dist: idna>=3\n"
    )
    assert audit.distribution_facts(make_distribution({}, reported)) == {
        "distribution": "sample",
        "version": "1.2",
        "summary": "A sample",
        "licence": None,
        "requires_python": ">=3.9",
        "dependencies": ["idna>=3", "yarl"],
    }


def test_totals_add_up(audit: ModuleType) -> None:
    """Items without definitions count as modules too."""
    first = audit.add(
        audit.NOTHING_YET, [{"size_bytes": 5, "lines": 1, "functions": 2, "classes": 1}]
    )
    assert audit.add(first, [{"size_bytes": 7, "lines": 3, "error": "cannot be parsed"}]) == {
        "modules": 2,
        "size_bytes": 12,
        "lines": 4,
        "functions": 2,
        "classes": 1,
    }


@pytest.mark.parametrize(
    ("given", "reported"),
    [
        pytest.param(None, "needs the name of a distribution", id="no input"),
        pytest.param(["yarl"], "needs the name of a distribution", id="no object"),
        pytest.param({"distribution": " "}, "needs the name of a distribution", id="blank"),
        pytest.param({"distribution": "yarl", "maxModules": 0}, "got 0", id="none wanted"),
        pytest.param({"distribution": "yarl", "maxModules": True}, "got True", id="no number"),
    ],
)
def test_wrong_input_is_refused_with_a_reason(audit: ModuleType, given: Any, reported: str) -> None:
    """The Actor refuses the same input as the schema on the platform."""
    with pytest.raises(audit.Refused, match=reported):
        audit.read_input(given)


def test_unknown_distribution_is_refused_with_the_known_names(audit: ModuleType) -> None:
    """The message names the distributions that exist."""
    with pytest.raises(audit.Refused, match=r"no distribution 'nope' .* there are: .*pytest"):
        audit.find("nope")
