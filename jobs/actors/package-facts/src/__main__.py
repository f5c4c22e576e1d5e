"""Starts the Actor."""

import asyncio
import gc

# What an import makes stays: to search it for garbage takes a third of the start.
gc.disable()

from .main import main  # noqa: E402

gc.freeze()
gc.enable()

asyncio.run(main())
