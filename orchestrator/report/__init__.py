"""Turns rows of the ledger into reports for people and programs."""
