"""What the operating system refuses, as errors of ours: in words, and with what to do."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

from orchestrator.errors import DiskFull, OrchestratorError, TooManyOpenFiles

# A quota (EDQUOT) and a limit on the size of a file (EFBIG) stop a write as a full disk does.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})


def error_of(
    error: OSError,
    place: str | bytes | int | Path | None,
    what: str,
    *,
    otherwise: type[OrchestratorError],
    advice: str,
) -> OrchestratorError:
    """
    What an error of the operating system means for the user.

    A full disk and a lack of descriptors are never anything else, in any operation.

    Args:
        place: the path that the error is about; None when it is about none.
        what: the participle of what cannot be done, such as `written`.
        otherwise: the class of all other errors.
        advice: what to do about those.
    """
    lead = "" if place is None else f"{os.fsdecode(place) if isinstance(place, bytes) else place}: "
    # An OSError that Python code raises may have no strerror.
    reason = error.strerror or str(error) or type(error).__name__
    if error.errno in FULL:
        return DiskFull(f"{lead}the disk is full: make room, then resume the batch")
    if error.errno in OUT_OF_DESCRIPTORS:
        return TooManyOpenFiles(f"{lead}{too_many(error)}")
    return otherwise(f"{lead}cannot be {what} ({reason}): {advice}")


def refuse_exhaustion(error: OSError) -> None:
    """
    Tells a lack of descriptors from what is wrong with the one file that was to be opened.

    Raises:
        TooManyOpenFiles: the error is a lack of descriptors.
    """
    if error.errno in OUT_OF_DESCRIPTORS:
        lead = f"{error.filename}: " if error.filename is not None else ""
        raise TooManyOpenFiles(f"{lead}{too_many(error)}") from error


def too_many(error: OSError) -> str:
    """What a lack of descriptors is about."""
    # `ulimit -n` does not help when the limit of the whole system is reached.
    if error.errno == errno.ENFILE:
        return "the whole system has too many open files (fs.file-max): close some, then try again"
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        f"this process has too many open files: it may have {allowed}; raise that with "
        "`ulimit -n`, then try again"
    )
