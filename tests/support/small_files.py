"""
The command, on a system where no file may grow beyond so many bytes: its disk is as good as full.
"""

from __future__ import annotations

import resource
import sys

from orchestrator.cli.main import main

if __name__ == "__main__":
    most = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    main(sys.argv[2:])
