"""What a run is, and what a simulated one does."""
