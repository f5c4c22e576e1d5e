"""How the system keeps a connection, and what becomes of a request when it is closed."""

from __future__ import annotations

import socket
import struct

from aiohttp import AddrInfoType

_NO_LINGER = struct.pack("ii", 1, 0)

PROBE_SECS = 15
"""Between two probes of a connection on which nothing happens: some firewalls forget it in 30 s."""
MOST_PROBES = 4

# Not every system has each of them; macOS has its own name for the first.
_PROBES = {
    "TCP_KEEPIDLE": PROBE_SECS,
    "TCP_KEEPALIVE": PROBE_SECS,
    "TCP_KEEPINTVL": PROBE_SECS,
    "TCP_KEEPCNT": MOST_PROBES,
}


def platform_socket(address: AddrInfoType) -> socket.socket:
    """
    A socket whose connection is probed while it waits, and is over once it is closed.

    An answer that the platform holds for a minute would be lost behind a firewall that forgets
    silent connections, and be waited for in vain: so the system probes them.

    By default the system also keeps sending after the end of a connection or of this process, for
    up to two minutes while packets are lost. It would deliver a start whose deadline has passed
    when the search for its run has ended and another start was sent.
    """
    family, kind, protocol, _, _ = address
    opened = socket.socket(family, kind, protocol)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _PROBES.items():
        if hasattr(socket, name):
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return opened
