"""
The Apify API: every request to the platform goes through here, and is sent no more often than safe.

The rest of the program sees methods, models and the errors of `orchestrator.errors`, never HTTP.
"""

from orchestrator.client import wire
from orchestrator.client.client import ApifyClient
from orchestrator.client.download import Download
from orchestrator.client.options import ClientOptions
from orchestrator.client.sending import ClientStats
from orchestrator.client.transport import Deadlines, Request, Response, Transport

__all__ = [
    "ApifyClient",
    "ClientOptions",
    "ClientStats",
    "Deadlines",
    "Download",
    "Request",
    "Response",
    "Transport",
    "wire",
]
