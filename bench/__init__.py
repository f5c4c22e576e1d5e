"""Benchmarks: each peer runs in its own process, in turn, against one emulator."""
