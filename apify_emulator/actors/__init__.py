"""Which Actors and tasks exist, and what they accept."""
