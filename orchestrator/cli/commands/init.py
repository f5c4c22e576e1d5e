"""`orchestrator init`: writes an example spec and config with comments."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from importlib.resources import files as files_of_package
from pathlib import Path

from orchestrator.app.setup.settings import example_config
from orchestrator.errors import OutputNotWritable, UsageError
from orchestrator.pasted_command import pasted_command
from orchestrator.specfile import spec_schema

SCHEMA = "orchestrator.schema.json"
EXAMPLES = {"toml": "example_spec.toml", "yaml": "example_spec.yaml"}


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    ending = "yaml" if options.yaml else "toml"
    spec = f"batch.{ending}"
    files = {
        spec: (files_of_package("orchestrator.cli") / EXAMPLES[ending]).read_text("utf-8"),
        "config.toml": example_config(),
        SCHEMA: json.dumps(spec_schema(), indent=2) + "\n",
    }
    # All are checked before the first one is written: no half set, and nothing is overwritten.
    existing = [name for name in files if (options.folder / name).exists()]
    if existing:
        raise UsageError(
            f"{options.folder}: cannot overwrite {', '.join(existing)}, so nothing was written; "
            "remove them, or choose another folder"
        )
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (options.folder / name).write_text(text, "utf-8")
            print(options.folder / name)
    except OSError as error:
        raise OutputNotWritable(f"{options.folder}: {error.strerror}") from error
    sys.stderr.write(_next_steps(options.folder, spec))
    return 0


def _next_steps(folder: Path, spec: str) -> str:
    """What a new user does next; on stderr, so that stdout stays the list of files."""
    lines = [
        "next:",
        *([] if folder == Path() else [f"  cd {shlex.quote(str(folder))}"]),
        f"  {pasted_command('validate', spec)}",
        f"  {pasted_command('plan', spec)}",
        f"  {pasted_command('run', spec, '--local')}",
        f"at Apify: name an Actor of yours in {spec}, set APIFY_TOKEN, and leave out --local",
    ]
    return "\n".join(lines) + "\n"
