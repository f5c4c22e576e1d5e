from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
PINS = [ROOT / "constraints.txt", *sorted(ROOT.glob("jobs/actors/*/requirements.txt"))]


@pytest.mark.parametrize("path", PINS, ids=lambda path: str(path.relative_to(ROOT)))
def test_versions_are_exact_and_from_no_named_index(path: Path) -> None:
    """Set-up installs the same versions everywhere, from any index."""
    lines = path.read_text().splitlines()
    assert len(lines) > 5
    assert [
        line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+( ; [\w.'<>=! ]+)?", line)
    ] == []


@pytest.mark.parametrize("python", ["3.11.0", "3.11.7", "3.12.0", "3.13.0", "3.14.0"])
@pytest.mark.parametrize("path", PINS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_distribution_is_pinned_once(path: Path, python: str) -> None:
    """On no version of Python do two versions of one distribution apply."""
    environment = {"python_full_version": python, "python_version": python.rpartition(".")[0]}
    pins = map(Requirement, path.read_text().splitlines())
    names = Counter(
        _plain(pin.name) for pin in pins if pin.marker is None or pin.marker.evaluate(environment)
    )
    assert [name for name, times in names.items() if times > 1] == []


def test_quickstart_audits_what_the_sample_actor_pins() -> None:
    """Every distribution of the sample sweep is in the Actor's own environment."""
    requirements = ROOT / "jobs" / "actors" / "package-facts" / "requirements.txt"
    pinned = {_plain(line.partition("==")[0]) for line in requirements.read_text().splitlines()}
    sweep = (ROOT / "jobs" / "quickstart.toml").read_text().partition("distribution = [")[2]
    swept = {_plain(name) for name in re.findall(r'"([\w.-]+)"', sweep)}
    assert len(swept) == 20
    assert swept - pinned == set()


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
