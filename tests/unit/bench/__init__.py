"""Tests of the decisions of the benchmarks, not of their measurements."""
