"""Earlier batches of a series: their order, estimates from them, and their removal."""
