"""`orchestrator schema`: prints the JSON Schema of a spec, or writes it to a file."""

from __future__ import annotations

import argparse
import json

from orchestrator.app.batch_folders import refuse_own_file
from orchestrator.errors import OutputNotWritable
from orchestrator.specfile import spec_schema


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    text = json.dumps(spec_schema(), indent=2) + "\n"
    if options.write is None:
        print(text, end="")
        return 0
    refuse_own_file(options.write)
    try:
        options.write.write_text(text, "utf-8")
    except OSError as error:
        raise OutputNotWritable(f"{options.write}: {error.strerror}") from error
    print(options.write)
    return 0
