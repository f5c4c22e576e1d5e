"""
The process that a worker of an engine starts for a shard.

It is the command, and it leaves as after SIGTERM when its worker is gone: then the end of its
standard input has come.
"""

from __future__ import annotations

import os
import signal
import sys
from threading import Thread

from orchestrator.cli.main import main


def _leave_with_worker() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    Thread(target=_leave_with_worker, name="worker", daemon=True).start()
    main(sys.argv[1:])
