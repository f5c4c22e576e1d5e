"""Which Actors and tasks there are, and what they accept."""
