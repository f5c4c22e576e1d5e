"""Runs batches of Apify Actors and tasks: starts each run once, obeys limits, loses nothing."""

__version__ = "0.1.0"
