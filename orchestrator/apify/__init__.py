"""
The Apify API: every request to the platform goes through here, and is sent no more often than safe.

The rest of the program sees methods, models and the errors of `orchestrator.errors`, never HTTP.
"""

from orchestrator.apify import models
from orchestrator.apify.client import ApifyClient
from orchestrator.apify.http.download import Download
from orchestrator.apify.http.transport import Deadlines, Request, Response, Transport
from orchestrator.apify.options import ClientOptions
from orchestrator.apify.policy.paced_transport import ClientStats

__all__ = [
    "ApifyClient",
    "ClientOptions",
    "ClientStats",
    "Deadlines",
    "Download",
    "Request",
    "Response",
    "Transport",
    "models",
]
