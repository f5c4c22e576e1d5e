"""Requests and answers on the wire; knows nothing of runs or storages."""
