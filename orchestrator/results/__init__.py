"""Merges the items of many jobs into one table."""
