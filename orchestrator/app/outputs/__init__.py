"""The results of a batch: download them again, merge, export, verify, upload."""
