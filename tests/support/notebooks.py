"""
Runs the cells of a notebook as a kernel does: in one running loop, with top-level `await`.

`python -m tests.support.notebooks PATH…` writes into a notebook what its cells really give.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import io
import json
import sys
from contextlib import chdir, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

Output = dict[str, Any]


async def run_cells(notebook: dict[str, Any], name: str) -> list[list[Output]]:
    """The outputs of each cell of code, in order; an error of a cell is raised."""
    names: dict[str, Any] = {"__name__": "__main__"}
    found = []
    for number, cell in enumerate(code_cells(notebook), start=1):
        found.append(await _outputs("".join(cell["source"]), f"{name}[{number}]", names))
    return found


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells of code, in order."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def text_of(outputs: list[Output]) -> str:
    """What a reader sees of the outputs of a cell, as text."""
    parts = (output.get("text") or output["data"]["text/plain"] for output in outputs)
    return "\n".join("".join(part).rstrip("\n") for part in parts)


async def _outputs(source: str, name: str, names: dict[str, Any]) -> list[Output]:
    tree = ast.parse(source)
    last = tree.body[-1] if tree.body else None
    if isinstance(last, ast.Expr):
        tree.body.pop()
    printed, value = io.StringIO(), None
    with redirect_stdout(printed):
        await _evaluated(tree, name, "exec", names)
        if isinstance(last, ast.Expr):
            value = await _evaluated(ast.Expression(last.value), name, "eval", names)
    outputs: list[Output] = []
    if printed.getvalue():
        text = printed.getvalue().splitlines(keepends=True)
        outputs.append({"name": "stdout", "output_type": "stream", "text": text})
    if value is not None:
        text = repr(value).splitlines(keepends=True)
        data = {"data": {"text/plain": text}, "metadata": {}}
        outputs.append({"execution_count": None, "output_type": "execute_result", **data})
    return outputs


async def _evaluated(tree: ast.AST, name: str, mode: str, names: dict[str, Any]) -> Any:
    code = compile(tree, name, mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)  # type: ignore[call-overload]
    value = eval(code, names)  # noqa: S307 - the notebook is a file of the project
    is_code_awaitable = bool(code.co_flags & inspect.CO_COROUTINE)
    return await value if is_code_awaitable else value


def _write(path: Path) -> None:
    notebook = json.loads(path.read_text())
    with TemporaryDirectory() as folder, chdir(folder):
        found = asyncio.run(run_cells(notebook, path.name))
    for number, (cell, outputs) in enumerate(
        zip(code_cells(notebook), found, strict=True), start=1
    ):
        cell["execution_count"] = number
        cell["outputs"] = [
            output | ({"execution_count": number} if "execution_count" in output else {})
            for output in outputs
        ]
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        _write(Path(argument).absolute())
