"""Programs that set a checkout up, or measure it."""
