"""The page of a batch: a file with everything in it, and the same page live."""
