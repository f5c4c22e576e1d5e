from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of the wheel in their own environment; the libraries are those of the tests."""
    folder = tmp_path_factory.mktemp("installed")
    venv = folder / "venv"
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    [wheel] = folder.glob("*.whl")
    uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--offline"]
    uv += ["--no-deps", "--python", str(venv / "bin" / "python"), str(wheel)]
    subprocess.run(uv, check=True, capture_output=True)
    return venv / "bin"


def _run(program: Path, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        # Files with paths (*.pth) work only in site-packages: the checkout cannot be imported.
        "PYTHONPATH": sysconfig.get_path("purelib"),
    }
    return subprocess.run(
        [str(program), *words],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_installed_command_runs_the_spec_of_init(installed: Path, tmp_path: Path) -> None:
    """After the installation, `init` and `run --local` work in any folder without a checkout."""
    orchestrator = installed / "orchestrator"
    for words in (["init", "."], ["validate", "batch.toml"], ["run", "batch.toml", "--local"]):
        done = _run(orchestrator, *words, folder=tmp_path)
        assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("output/*/*/report.html"))


def test_installed_packages_are_those_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    """The programs use the packages of the wheel, and both are there."""
    code = (
        "import apify_emulator, orchestrator; print(apify_emulator.__file__, orchestrator.__file__)"
    )
    done = _run(installed / "python", "-c", code, folder=tmp_path)
    places = [Path(place) for place in done.stdout.split()]
    assert [place.is_relative_to(installed.parent) for place in places] == [True, True]
    assert _run(installed / "apify-emulator", "--help", folder=tmp_path).returncode == 0
