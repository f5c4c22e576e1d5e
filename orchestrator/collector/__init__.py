"""Brings what runs made to disk: whole, counted and flushed before anyone is told."""
