from __future__ import annotations

import os
import tempfile
from pathlib import Path

from orchestrator.app.history.recent_batches import RecentBatches

NOBODY = 65534


def test_folder_of_another_user_hides_no_other_batch() -> None:
    """It is named with the reason, and the others are shown."""
    # Not `tmp_path`, which another user cannot enter.
    with tempfile.TemporaryDirectory() as name:
        output = Path(name)
        locked = output / "nightly" / "20261101T000000Z-0000000"
        locked.mkdir(parents=True)
        (locked / "ledger.sqlite").touch()
        for folder in (output, locked.parent):
            folder.chmod(0o755)
        locked.chmod(0)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(NOBODY)
        try:
            (history,) = RecentBatches(output).histories()
        finally:
            if is_root:
                os.seteuid(0)
            locked.chmod(0o755)
    assert history.batches == []
    assert [problem.rpartition("cannot be shown: ")[2] for problem in history.problems] == [
        f"[Errno 13] Permission denied: '{locked}/ledger.sqlite'"
    ]
