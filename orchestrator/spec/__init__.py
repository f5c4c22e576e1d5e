"""
What the user wrote: read, checked, and expanded to jobs.
"""

from orchestrator.spec.expand import expand
from orchestrator.spec.inputs import render_input
from orchestrator.spec.load import LoadedSpec, load_spec
from orchestrator.spec.schema import spec_schema

__all__ = ["LoadedSpec", "expand", "load_spec", "render_input", "spec_schema"]
