"""
`python -m bench`: measures, prints the figures and writes them into docs/performance.md.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from bench import overhead

DOCUMENT = Path(__file__).parent.parent / "docs" / "performance.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs=2, default=[2000, 6000], metavar="JOBS")
    parser.add_argument("--memory-sizes", type=int, nargs=2, default=[1000, 10000], metavar="JOBS")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-write", action="store_true", help="leave docs/performance.md alone")
    options = parser.parse_args()
    figures = overhead.run(tuple(options.sizes), options.rounds, tuple(options.memory_sizes))
    print(figures)
    if not options.no_write:
        write("overhead", figures)


def write(name: str, figures: str) -> None:
    text = DOCUMENT.read_text()
    pattern = rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)"
    DOCUMENT.write_text(
        re.sub(pattern, lambda found: f"{found[1]}{figures}{found[2]}", text, flags=re.DOTALL)
    )


if __name__ == "__main__":
    main()
