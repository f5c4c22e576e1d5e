"""What a spec will do, before anything starts."""
