"""
Which endpoint a request belongs to.

Routes are a tree of path segments, because record keys can contain percent-encoded slashes, and
because a look-up must take microseconds only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote

from apify_emulator.refusals import method_not_allowed, page_not_found

if TYPE_CHECKING:
    from apify_emulator.api.context import Context
    from apify_emulator.http.answers import Answer
from apify_emulator.http.calls import Call

CONTROL = "__emulator"
Handler: TypeAlias = "Callable[[Context, Call], Awaitable[Answer]]"


@dataclass(frozen=True, slots=True)
class Route:
    """
    One endpoint.

    Attributes:
        template: the path with `{name}` for each parameter, without `/v2`.
        names: of the parameters, in order.
        is_open: whether it answers requests without a token.
        is_supported: False for what the emulator only refuses in the API's words.
        is_public: whether it reads a storage, which can be open to all or have signed URLs.
    """

    template: str
    names: tuple[str, ...]
    handler: Handler
    is_open: bool
    is_supported: bool = True
    is_public: bool = False


@dataclass(slots=True)
class _Node:
    fixed: dict[str, _Node] = field(default_factory=dict)
    any: _Node | None = None
    routes: dict[str, Route] = field(default_factory=dict)


class Router:
    """All endpoints, by path and method."""

    def __init__(self) -> None:
        self._root = _Node()

    def add(
        self,
        method: str,
        template: str,
        handler: Handler,
        *,
        is_open: bool = False,
        is_supported: bool = True,
        is_public: bool = False,
    ) -> None:
        """Adds an endpoint, for example `GET`, `actor-runs/{runId}`."""
        node, names = self._root, []
        for part in template.split("/"):
            if part.startswith("{"):
                names.append(part[1:-1])
                node.any = node.any or _Node()
                node = node.any
            else:
                node = node.fixed.setdefault(part, _Node())
        node.routes[method] = Route(
            template, tuple(names), handler, is_open, is_supported, is_public
        )

    def all_routes(self) -> Iterator[tuple[str, Route]]:
        """Yields every endpoint with its method."""
        nodes = [self._root]
        while nodes:
            node = nodes.pop()
            yield from node.routes.items()
            nodes += node.fixed.values()
            if node.any is not None:
                nodes.append(node.any)

    def find(self, method: str, raw_path: str) -> tuple[Route, dict[str, str]]:
        """
        Returns the endpoint of a request and the decoded parameters of its path.

        Raises:
            ApiError: no such endpoint (404), or not with this method (405).
        """
        parts = raw_path.rstrip("/").split("/")
        if len(parts) < 2 or parts[0] != "" or CONTROL in parts[2:3]:
            raise page_not_found()
        # `acts` is the old name of the same endpoints.
        if parts[2:3] == ["acts"]:
            parts[2] = "actors"
        # The emulator's own endpoints are beside the API, not in it.
        at = {"v2": 2, CONTROL: 1}.get(parts[1])
        found = None if at is None or at == len(parts) else _walk(self._root, parts, at, ())
        if found is None:
            raise page_not_found()
        node, values = found
        route = node.routes.get(method)
        if route is None and method == "HEAD":
            route = node.routes.get("GET")
        if route is None:
            raise method_not_allowed(node.routes)
        return route, dict(zip(route.names, values, strict=True))


def _walk(
    node: _Node, parts: list[str], at: int, values: tuple[str, ...]
) -> tuple[_Node, tuple[str, ...]] | None:
    if at == len(parts):
        return (node, values) if node.routes else None
    part = parts[at]
    # A fixed segment wins over a parameter: `runs/last` is not the run `last`.
    child = node.fixed.get(part)
    if child is not None:
        found = _walk(child, parts, at + 1, values)
        if found is not None:
            return found
    if node.any is None or not part:
        return None
    value = unquote(part) if "%" in part else part
    return _walk(node.any, parts, at + 1, (*values, value))
