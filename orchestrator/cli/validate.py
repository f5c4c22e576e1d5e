"""
`orchestrator validate`: the mistakes of specs, all at once, without any network.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from orchestrator.cli.common import SPEC_HELP, pair


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    The command's options.
    """
    parser.add_argument("specs", metavar="SPEC", type=Path, nargs="+", help=SPEC_HELP)
    parser.add_argument(
        "--param", metavar="K=V", type=pair, action="append", default=[], help="set a parameter"
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        type=Path,
        default=Path("output"),
        help="where batches are whose results a spec takes (output)",
    )
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")


def call(options: argparse.Namespace) -> int:
    """
    Runs the command.
    """
    import json
    import os
    import sys
    from datetime import UTC, datetime

    from orchestrator.errors import SpecError
    from orchestrator.spec import expand, load_spec

    code, answers = 0, []
    for path in options.specs:
        try:
            loaded = load_spec(path)
            today = datetime.now(UTC).date()
            jobs = expand(
                loaded,
                params=dict(options.param),
                env=os.environ,
                today=today,
                output=options.output,
            )
            count = sum(1 for _ in jobs)
        except SpecError as error:
            code = error.exit_code
            answers.append(
                {
                    "spec": str(path),
                    "valid": False,
                    "mistakes": [
                        {name: getattr(mistake, name) for name in mistake.__slots__}
                        for mistake in error.mistakes
                    ],
                    "mistakes_total": error.total,
                }
            )
            if not options.json:
                sys.stderr.write(f"{error}\n")
        else:
            answers.append({"spec": str(path), "valid": True, "jobs": count})
            if not options.json:
                print(f"{path}: valid, {count:,} jobs")
    if options.json:
        print(json.dumps({"specs": answers}))
    return code
