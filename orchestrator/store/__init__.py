"""Files on disk: atomic writes, files that grow, safe names."""
