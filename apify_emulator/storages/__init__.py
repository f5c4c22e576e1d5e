"""Datasets, key-value stores and request queues, on disk and simulated."""
