"""
Serves one dataset of any size: `python -m bench.big_dataset MBYTES PACE`.

Each connection gets PACE megabytes a second at most; with 0, there is no limit. The first line on
stdout is the address. The server has only one path: the items.
"""

from __future__ import annotations

import re
import socket
import sys
import time
from threading import Thread

ITEM = b'{"index":0,"filler":"' + b"x" * 976 + b'"}\n'
PIECE_ITEMS = 1024
PIECE = ITEM * PIECE_ITEMS


def main() -> None:
    total, pace = int(sys.argv[1]) * 1_000_000 // len(ITEM), int(sys.argv[2]) * 1_000_000
    server = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{server.getsockname()[1]}", flush=True)
    while True:
        connection, _ = server.accept()
        Thread(target=answer, args=(connection, total, pace), daemon=True).start()


def answer(connection: socket.socket, total: int, pace: int) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        while request := connection.recv(65_536):
            assert b"/items" in request, request
            offset, limit = number(request, b"offset", 0), number(request, b"limit", total)
            items = max(0, min(limit, total - offset))
            head = (
                "HTTP/1.1 200 OK\r\nContent-Type: application/jsonl\r\n"
                f"Content-Length: {items * len(ITEM)}\r\nX-Apify-Pagination-Total: {total}\r\n"
                f"X-Apify-Pagination-Count: {items}\r\nX-Apify-Pagination-Offset: {offset}\r\n"
                f"X-Apify-Pagination-Limit: {limit}\r\n\r\n"
            )
            connection.sendall(head.encode())
            due = time.monotonic()
            for _ in range(items // PIECE_ITEMS):
                connection.sendall(PIECE)
                due += len(PIECE) / pace if pace else 0
                time.sleep(max(0.0, due - time.monotonic()))
            connection.sendall(PIECE[: items % PIECE_ITEMS * len(ITEM)])


def number(request: bytes, name: bytes, without: int) -> int:
    found = re.search(rb"[?&]" + name + rb"=(\d+)", request)
    return int(found[1]) if found else without


if __name__ == "__main__":
    main()
