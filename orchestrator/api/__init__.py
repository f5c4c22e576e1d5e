"""The Python API: what `from orchestrator import …` gives, above what the commands use."""
