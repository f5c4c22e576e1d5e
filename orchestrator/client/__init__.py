"""
The Apify API, as much of it as a batch runner needs; usable by itself.
"""

from orchestrator.client.api import ApifyClient, ClientOptions
from orchestrator.client.transport import Download

__all__ = ["ApifyClient", "ClientOptions", "Download"]
