"""Data files as columns of values."""
