"""The lower bound for jobs of items: the lines, two templates and a JSON dump each."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from jinja2 import Environment


def main() -> None:
    environment = Environment(autoescape=False)  # noqa: S701 - it makes no page
    name = environment.from_string("job-{{ city }}-{{ n }}")
    url = environment.from_string("https://example.com/{{ city }}?page={{ n }}")
    began, jobs = time.process_time(), 0
    for path in Path(sys.argv[1]).glob("*/items.jsonl"):
        with path.open("rb") as file:
            for line in file:
                row = json.loads(line)
                job = {"name": name.render(row), "input": {"url": url.render(row), "n": row["n"]}}
                json.dumps(job)
                jobs += 1
    print(time.process_time() - began, file=sys.stderr)
    print(jobs)


if __name__ == "__main__":
    main()
