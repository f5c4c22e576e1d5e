"""Files and folders on disk: atomic writes, batch folders, safe file names."""
