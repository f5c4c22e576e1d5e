"""The nouns of the project as plain values: no I/O, no policy."""
