"""The lower bound for the plan of a CSV: the rows, two templates and a JSON dump each."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

from jinja2 import Environment


def main() -> None:
    environment = Environment(autoescape=False)  # noqa: S701 - it makes no page
    name = environment.from_string("job-{{ city }}-{{ n }}")
    url = environment.from_string("https://example.com/{{ city }}?page={{ n }}")
    jobs = 0
    with Path(sys.argv[1]).open(newline="") as file:
        for row in csv.DictReader(file):
            job = {"name": name.render(row), "input": {"url": url.render(row), "n": row["n"]}}
            json.dumps(job)
            jobs += 1
    print(jobs)


if __name__ == "__main__":
    main()
