"""A matrix of parameters, expanded to cells in a stable order."""
