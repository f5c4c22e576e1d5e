"""Downloads what runs have made: whole, counted and flushed before it counts as collected."""
