"""
Charts as SVG text, without words: labels stand beside them as HTML.

A chart is stretched to the width of the page, so that words in it would be distorted. Colours come
from classes of the style sheet. All arguments are numbers and names of classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

WIDTH = 1000
"""Units of a chart's width; its height is given in pixels."""


def stacked_bar(parts: Iterable[tuple[str, float]]) -> str:
    """A bar of parts side by side, each with its class and its share of 1."""
    rects, x = [], 0.0
    for tone, share in parts:
        rects.append(
            f'<rect class="{tone}" x="{_n(x)}" width="{_n(share * WIDTH)}" height="10"></rect>'
        )
        x += share * WIDTH
    return _svg("stack", 10, "".join(rects))


def share_bar(share: float) -> str:
    """A thin bar of one share of 1."""
    return _svg("share", 10, f'<rect width="{_n(min(1.0, share) * WIDTH)}" height="10"></rect>')


def columns(values: Sequence[float | None], *, usual: float | None = None) -> str:
    """
    A column for each value, the last one marked as the current one.

    Args:
        usual: drawn as a line across all columns.
    """
    highest = max((value for value in (*values, usual) if value is not None), default=0) or 1
    # A few batches must not look like a wall of columns.
    each = WIDTH / max(len(values), 8)
    rects = []
    for place, value in enumerate(values):
        height = max(2.0, 100 * value / highest) if value else 0.0
        tone = "now" if place == len(values) - 1 else "past"
        rects.append(
            f'<rect class="{tone}" x="{_n(place * each)}" y="{_n(100 - height)}" '
            f'width="{_n(each * 0.8)}" height="{_n(height)}"></rect>'
        )
    if usual is not None:
        rects.append(_line(100 - 100 * usual / highest))
    return _svg("columns", 100, "".join(rects))


def steps(values: Sequence[float], *, limit: float | None = None) -> str:
    """An area of steps of equal width; a limit is drawn as a line where it is near the values."""
    peak = max(values, default=0) or 1
    near = limit if limit is not None and limit <= 4 * peak else None
    top = 1.05 * max(peak, near or 0)
    each = WIDTH / max(1, len(values))
    path, before = ["M0 100"], None
    for place, value in enumerate(values):
        if value != before:
            path.append(f"H{_n(place * each)}V{_n(100 - 100 * value / top)}")
            before = value
    path.append(f"H{WIDTH}V100Z")
    line = "" if near is None else _line(100 - 100 * near / top)
    return _svg("steps", 100, f'<path d="{"".join(path)}"></path>{line}')


def bars_by_tone(bars: Iterable[tuple[str, float, float, int]], lanes: int, lane: float) -> str:
    """
    Thin bars in lanes, as one path for each tone.

    Args:
        bars: tone, left edge, width and lane of each.
        lane: the height of a lane.
    """
    paths: dict[str, list[str]] = {}
    down = f"v{_n(max(1.0, lane - 1))}h-"
    tops = [_n(row * lane) for row in range(lanes)]
    for tone, x, width, row in bars:
        across = _n(width)
        paths.setdefault(tone, []).append(f"M{_n(x)} {tops[row]}h{across}{down}{across}z")
    drawn = (f'<path class="{tone}" d="{"".join(path)}"></path>' for tone, path in paths.items())
    return _svg("lanes", lanes * lane, "".join(drawn))


def _line(y: float) -> str:
    return f'<line x2="{WIDTH}" y1="{_n(y)}" y2="{_n(y)}"></line>'


def _svg(name: str, height: float, content: str) -> str:
    return (
        f'<svg class="{name}" viewBox="0 0 {WIDTH} {_n(height)}" height="{_n(height)}" '
        f'preserveAspectRatio="none" aria-hidden="true">{content}</svg>'
    )


def _n(value: float) -> str:
    """A coordinate in as few characters as it needs."""
    return f"{value:.1f}".removesuffix(".0")
