"""What a browser shows: runs, Actors and storages, to read only."""
