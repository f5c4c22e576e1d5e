"""`orchestrator schema`: prints the JSON Schema of a spec."""

from __future__ import annotations

import argparse
import json

from orchestrator.specfile import spec_schema


def call(_options: argparse.Namespace) -> int:
    """Runs the command."""
    print(json.dumps(spec_schema(), indent=2))
    return 0
