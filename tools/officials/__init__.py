"""Suites that nobody here wrote, run against the emulator: `make officials`."""
