"""The life of one batch: create, run, resume, finish."""
