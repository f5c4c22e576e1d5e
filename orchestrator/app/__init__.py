"""Wires the parts together; no policy of its own."""
