"""The services of Apprise, loaded when this module is imported: that takes a second of CPU."""

from __future__ import annotations

from contextlib import suppress

with suppress(ImportError):
    import apprise

    LOADED = apprise.Apprise.instantiate("json://127.0.0.1")
