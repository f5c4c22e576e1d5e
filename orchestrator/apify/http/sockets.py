"""How the system opens a connection, and what becomes of a request when it is closed."""

from __future__ import annotations

import socket
import struct

from aiohttp import AddrInfoType

_NO_LINGER = struct.pack("ii", 1, 0)


def socket_that_forgets(address: AddrInfoType) -> socket.socket:
    """
    Return a socket that sends nothing more once it is closed, also by the end of this process.

    By default the system goes on alone: it keeps sending what was written, for up to two minutes
    while packets are lost. It would deliver a start whose deadline has passed when the search for
    its run has ended and another start was sent.
    """
    family, kind, protocol, _, _ = address
    opened = socket.socket(family, kind, protocol)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    return opened
