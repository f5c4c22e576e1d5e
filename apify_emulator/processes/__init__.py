"""How real Actors run: environments, processes, tokens, logs and events."""
