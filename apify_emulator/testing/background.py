"""An emulator in a thread of its own, for tests and scripts that are not asynchronous."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from apify_emulator.testing.handle import EmulatorHandle


@contextmanager
def running_emulator(*, data_dir: Path | None = None, **options: Any) -> Iterator[EmulatorHandle]:
    """
    Runs an emulator in the background as long as the context is open.

    Args:
        data_dir: the data folder; None for a temporary one.
        options: further fields of `EmulatorOptions`, such as `actors_dirs`.

    Raises:
        EmulatorError: as `serve_emulator`.
    """
    # Imported here, so that the plugin costs nothing in sessions that do not use it.
    from anyio.from_thread import start_blocking_portal

    from apify_emulator.options import EmulatorOptions
    from apify_emulator.server.emulator import serve_emulator

    with tempfile.TemporaryDirectory(prefix="apify-emulator-") as folder:
        chosen = EmulatorOptions(data_dir=data_dir or Path(folder), **options)
        with (
            start_blocking_portal() as portal,
            portal.wrap_async_context_manager(serve_emulator(chosen)) as emulator,
        ):
            yield EmulatorHandle(emulator.url, emulator.token.get_secret_value())
