"""`python -m apify_emulator`: the command `apify-emulator`."""

from __future__ import annotations

from apify_emulator.cli.main import main

main()
