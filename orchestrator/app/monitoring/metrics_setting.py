"""The file of metrics that the settings ask for."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from orchestrator.app.batch_folders import refuse_own_file
from orchestrator.app.setup.settings import Settings
from orchestrator.errors import ConfigError
from orchestrator.extras import LIBRARIES_OF_EXTRAS, Extra, not_installed

if TYPE_CHECKING:
    from orchestrator.app.monitoring.metrics_file import MetricsFile


def metrics_of(settings: Settings) -> MetricsFile | None:
    """
    What writes the file of metrics; None if the settings name none.

    Raises:
        ConfigError: the library is not installed; nothing is started.
        UsageError: the file is one of a batch.
    """
    if settings.metrics_file is None:
        return None
    if find_spec(LIBRARIES_OF_EXTRAS[Extra.METRICS]) is None:
        raise ConfigError(f"--metrics-file {not_installed(Extra.METRICS)}")
    refuse_own_file(settings.metrics_file)
    # Most calls need no metrics.
    from orchestrator.app.monitoring.metrics_file import MetricsFile

    return MetricsFile(path=settings.metrics_file.absolute())
