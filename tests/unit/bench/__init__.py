"""Tests of what the benchmarks decide; what they measure is no test."""
