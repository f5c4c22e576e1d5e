"""The figures about the structure of the code count what their names say."""

from __future__ import annotations

from pathlib import Path

from tools.structure_figures import measure

MODULES = {
    "orchestrator/__init__.py": "",
    "orchestrator/errors.py": "class Wrong(Exception): ...\n",
    "orchestrator/cli/main.py": (
        "from orchestrator.app import batch\nfrom orchestrator.app.running import go\n"
        "def call(self, first, *, second):\n    from orchestrator.errors import Wrong\n"
    ),
    "orchestrator/app/batch/errors.py": "import orchestrator.errors\nimport os\n",
    "orchestrator/app/running.py": "from orchestrator.app.batch import errors\n",
}


def test_structure_figures_count_arrows_names_and_imports(tmp_path: Path) -> None:
    """Anyone can repeat the figures of docs/layout.md in any checkout."""
    for name, text in MODULES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    figures = measure([tmp_path / "orchestrator"])
    assert (figures.modules, figures.lines, figures.longest_module) == (5, 8, 4)
    assert figures.arrows == 3  # cli to app, cli to errors, app to errors
    assert figures.app_arrows == 1  # running to batch
    assert (figures.late_imports, figures.most_arguments) == (1, 2)
    assert (dict(figures.names_twice), figures.named_by_ing) == ({"errors": 2}, 1)
