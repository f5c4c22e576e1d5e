"""The figures of a live batch as fields for programs."""

from __future__ import annotations

from pydantic import JsonValue

from orchestrator.model.progress import Progress
from orchestrator.report.summary import moment


def progress_fields(progress: Progress) -> dict[str, JsonValue]:
    """The figures of a live batch as JSON; runs in progress are those that the views show."""
    return {
        "at": moment(progress.at),
        "running": progress.running,
        "collecting": progress.collecting,
        "waiting": progress.waiting,
        "late": progress.late,
        "limit": progress.limit or None,
        "limited": progress.limited,
        "ends_at": moment(progress.ends_at),
        "stopping": progress.stopping or None,
        "runs": [
            {
                "key": run.key,
                "run_id": run.run_id,
                "target": run.target,
                "since": moment(run.since),
                "usual_secs": run.usual_secs,
                "is_straggler": run.is_straggler,
            }
            for run in progress.live
        ],
    }
