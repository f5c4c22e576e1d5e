"""docs/officials.md: a table of all suites and a section for each; writing one keeps the others."""

from __future__ import annotations

import re

from tools.officials.suite import ROOT, Section, table

PAGE = ROOT / "docs" / "officials.md"
_HEAD = """\
# Official suites

`make officials` runs suites that nobody here wrote. Packages come from the registries, in pinned
versions. Tests and documentation come from the suites' repositories at a tag; without a way to the
host of the repositories, name clones of your own:

<!-- not run: needs the network, and some minutes -->
```sh
make officials SUITES="js-examples" CHECKOUTS="apify-client-js=/src/apify-client-js"
```

A suite that cannot be reached is skipped with the reason, and its section stays as it was.

"""
_ROW = re.compile(r"^\| ([^|\n]+) \| ([^|\n]+) \|$", re.MULTILINE)


def write(section: Section) -> None:
    """Writes a section in the place of the one with its title, or at the end."""
    PAGE.write_text(written(PAGE.read_text(), section))


def written(page: str, section: Section) -> str:
    """Returns the page with a section in it."""
    head, *parts = page.split("\n## ")
    sections = dict(part.split("\n", 1) for part in parts)
    sections[section.title] = f"\n{section.text.strip()}\n"
    result = section.summary or ("passes" if section.passed else "fails")
    summaries = dict(_ROW.findall(head)) | {section.title: result}
    rows = [(title, summaries[title]) for title in sections if summaries.get(title)]
    texts = [f"\n## {title}\n{text.rstrip()}\n" for title, text in sections.items()]
    return _HEAD + table(("suite", "result"), rows) + "\n" + "".join(texts)
