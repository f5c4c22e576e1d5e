"""docs/officials.md: one section for each suite; writing one keeps the others."""

from __future__ import annotations

from tools.officials.suite import ROOT, Section

PAGE = ROOT / "docs" / "officials.md"
_HEAD = """\
# Official suites

`make officials` runs suites that nobody here wrote. It needs the network.
"""


def write(section: Section) -> None:
    """Writes a section in the place of the one with its title, or at the end."""
    _, *parts = PAGE.read_text().split("\n## ")
    sections = dict(part.split("\n", 1) for part in parts)
    sections[section.title] = f"\n{section.text.strip()}\n"
    texts = [f"\n## {title}\n{text.rstrip()}\n" for title, text in sections.items()]
    PAGE.write_text(_HEAD + "".join(texts))
