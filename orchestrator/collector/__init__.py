"""
Brings what runs made to disk: whole, counted and flushed before anyone is told.
"""

from orchestrator.collector.collect import Collector
from orchestrator.collector.files import Files

__all__ = ["Collector", "Files"]
