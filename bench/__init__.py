"""Benchmarks: each peer in a process of its own, in turn in one run, against one local platform."""
