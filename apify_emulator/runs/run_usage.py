"""How much memory and processor time a run uses, from samples of its processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True, kw_only=True)
class RunUsage:
    """
    The samples of one run; processor time in percent of one core, memory in bytes.

    Attributes:
        cpu_sum: of all samples, for the average.
        received_bytes: from the API and the proxy; what goes elsewhere is not seen.
    """

    samples: int = 0
    cpu_sum: float = 0.0
    cpu_max: float = 0.0
    cpu_current: float = 0.0
    memory_sum: float = 0.0
    memory_max: int = 0
    memory_current: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0

    def note(self, cpu: float, memory: int) -> None:
        """Adds a sample."""
        self.samples += 1
        self.cpu_sum += cpu
        self.cpu_max = max(self.cpu_max, cpu)
        self.cpu_current = cpu
        self.memory_sum += memory
        self.memory_max = max(self.memory_max, memory)
        self.memory_current = memory

    def stop(self) -> None:
        """Records that no process runs any more."""
        self.cpu_current, self.memory_current = 0.0, 0


def usage_stats(usage: RunUsage | None) -> dict[str, Any]:
    """Returns the part of a run's statistics that is about its use of the machine."""
    usage = usage or RunUsage()
    count = usage.samples or 1
    return {
        "memAvgBytes": round(usage.memory_sum / count, 1),
        "memMaxBytes": usage.memory_max,
        "memCurrentBytes": usage.memory_current,
        "cpuAvgUsage": round(usage.cpu_sum / count, 3),
        "cpuMaxUsage": round(usage.cpu_max, 3),
        "cpuCurrentUsage": round(usage.cpu_current, 3),
    }
