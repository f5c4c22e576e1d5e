"""
Run batches of Apify Actors and tasks: each run started once, every limit obeyed, nothing lost.
"""

__version__ = "0.1.0"
