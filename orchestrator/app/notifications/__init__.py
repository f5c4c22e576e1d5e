"""Who hears of the end of a batch, when, and in which words."""
