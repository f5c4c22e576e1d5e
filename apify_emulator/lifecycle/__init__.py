"""How a run begins, changes its status and ends."""
