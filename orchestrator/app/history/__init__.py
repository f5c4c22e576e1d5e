"""What earlier batches of a series say, and which of them are deleted."""
