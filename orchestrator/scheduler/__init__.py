"""Decides which job starts when, and drives each attempt from its intent to its end."""
