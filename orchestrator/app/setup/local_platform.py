"""The emulator as the platform of a batch: serves it, and turns its errors into ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import BatchHeld, ConfigError, UsageError

if TYPE_CHECKING:
    from orchestrator.app.setup.context import Endpoint
    from orchestrator.model.batches import LocalPlatformPlan


@asynccontextmanager
async def local_platform(
    plan: LocalPlatformPlan, *, share: bool, report: Callable[[str], None] | None = None
) -> AsyncIterator[Endpoint]:
    """
    Serves the local platform of a batch while the context is open.

    Args:
        share: whether to use the platform of another process, which may end.
        report: gets a line when the build of an Actor's environment begins and ends.

    Raises:
        ConfigError: an Actor, a task, a fault file or the data folder cannot be used.
        UsageError: the address cannot be used.
        BatchHeld: another process uses the data folder.
    """
    # Imported when it runs, because it is large.
    from apify_emulator import EmulatorOptions, read_address, serve_emulator
    from orchestrator.app.setup.context import Endpoint
    from orchestrator.descriptors import original_limit

    # Two platforms cannot use one data folder, so `logs` asks the one that serves the runs.
    found = read_address(Path(plan.data_dir)) if share else None
    if found is not None:
        yield Endpoint(base_url=found[0], token=found[1])
        return
    options = EmulatorOptions(
        data_dir=Path(plan.data_dir),
        actors_dirs=tuple(map(Path, plan.actors_dirs)),
        open_files=original_limit(),
        report=report,
    )
    with emulator_errors():
        async with serve_emulator(options) as emulator:
            yield Endpoint(base_url=emulator.url, token=emulator.token, is_local=True)


@contextmanager
def emulator_errors() -> Iterator[None]:
    """Turns the errors of the emulator into ours."""
    from apify_emulator.errors import AddressUnavailable, DataFolderInUse, EmulatorError

    try:
        yield
    except DataFolderInUse as error:
        raise BatchHeld(str(error)) from error
    except AddressUnavailable as error:
        raise UsageError(str(error)) from error
    except EmulatorError as error:
        raise ConfigError(str(error)) from error
