"""Writes `docs/emulator-api.md` from the official description: what the emulator serves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from apify_emulator.api.router import CONTROL, Router
from apify_emulator.api.routes import all_routes
from apify_emulator.refusals import ApiError

PAGE = Path(__file__).parent.parent.parent / "docs" / "emulator-api.md"
_DESCRIPTION = Path(__file__).parent.parent / "data" / "apify-openapi.json"
_METHODS = ("get", "head", "post", "put", "patch", "delete")
_HEAD = """\
# What the emulator serves

`make emulator-api` writes this page from Apify's official API description, and a test compares it.
The description is `tests/data/apify-openapi.json`. The paths begin with `/v2`.

- **served**: tests compare each answer of the emulator with the form in the description.
- **not served**: the emulator answers 400 `not-implemented` with the reason, or 405.

"""


def coverage_page() -> str:
    """Returns the text of the page."""
    router = all_routes()
    described = _described()
    rows = [_row(router, path, methods) for path, methods in described]
    count = sum(len(methods) for _, methods in described)
    served = sum(_is_served(router, m, path) for path, methods in described for m in methods)
    lines = [
        _HEAD + f"Of {count} operations in the description, {served} are served.\n",
        "| path | served | not served |",
        "| --- | --- | --- |",
        *rows,
        "",
        "## Operations outside this description",
        "",
        "The description in this project has what its client uses. The emulator also has these:",
        "",
        "| path | served | not served |",
        "| --- | --- | --- |",
        *_others(router, {path for path, _ in described}),
        "",
        "## The emulator's own endpoints",
        "",
        "See [emulator.md](emulator.md#control-over-http).",
        "",
        "| path | method |",
        "| --- | --- |",
        *(f"| `/{t}` | {m} |" for m, t in sorted(_templates(router)) if t.startswith(CONTROL)),
        "",
    ]
    return "\n".join(lines)


def _described() -> list[tuple[str, list[str]]]:
    description: dict[str, Any] = orjson.loads(_DESCRIPTION.read_bytes())
    return [
        (path.removeprefix("/v2/"), [name.upper() for name in _METHODS if name in operations])
        for path, operations in sorted(description["paths"].items())
    ]


def _is_served(router: Router, method: str, path: str) -> bool:
    try:
        route, _ = router.find(method, f"/v2/{path}")
    except ApiError:
        return False
    return route.is_supported


def _row(router: Router, path: str, methods: list[str]) -> str:
    served = [method for method in methods if _is_served(router, method, path)]
    missing = [method for method in methods if method not in served]
    return f"| `{path}` | {', '.join(served)} | {', '.join(missing)} |"


def _templates(router: Router) -> set[tuple[str, str]]:
    return {(method, route.template) for method, route in router.all_routes()}


def _others(router: Router, described: set[str]) -> list[str]:
    methods: dict[str, list[str]] = {}
    shapes = {_shape(path) for path in described}
    for method, template in sorted(_templates(router)):
        if not template.startswith(CONTROL) and _shape(template) not in shapes:
            methods.setdefault(template, []).append(method)
    return [_row(router, template, found) for template, found in sorted(methods.items())]


def _shape(path: str) -> str:
    return "/".join("{}" if part.startswith("{") else part for part in path.split("/"))


if __name__ == "__main__":
    PAGE.write_text(coverage_page())
