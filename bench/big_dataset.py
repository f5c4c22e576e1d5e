"""
Serves one dataset of any size as fast as a socket takes it: `python -m bench.big_dataset MBYTES`.

Its first line on stdout is the address. It knows two paths: the items, and nothing else.
"""

from __future__ import annotations

import socket
import sys
from threading import Thread

ITEM = b'{"index":0,"filler":"' + b"x" * 976 + b'"}\n'
PIECE = ITEM * 1024


def main() -> None:
    pieces = int(sys.argv[1])
    server = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{server.getsockname()[1]}", flush=True)
    while True:
        connection, _ = server.accept()
        Thread(target=answer, args=(connection, pieces), daemon=True).start()


def answer(connection: socket.socket, pieces: int) -> None:
    with connection:
        while request := connection.recv(65_536):
            assert b"/items" in request, request
            items = pieces * 1024
            head = (
                "HTTP/1.1 200 OK\r\nContent-Type: application/jsonl\r\n"
                f"Content-Length: {pieces * len(PIECE)}\r\nX-Apify-Pagination-Total: {items}\r\n"
                f"X-Apify-Pagination-Count: {items}\r\nX-Apify-Pagination-Offset: 0\r\n"
                f"X-Apify-Pagination-Limit: {items}\r\n\r\n"
            )
            connection.sendall(head.encode())
            for _ in range(pieces):
                connection.sendall(PIECE)


if __name__ == "__main__":
    main()
