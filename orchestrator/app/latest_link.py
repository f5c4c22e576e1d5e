"""The link `latest` beside the batches of a name."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

LATEST = "latest"
NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP)
"""What file systems without symbolic links answer, such as exFAT and some network shares."""


def link_to(found: Path) -> bool:
    """
    Points the `latest` beside a batch to it, unless something else has that name.

    Returns:
        False if the file system has no symbolic links.

    Raises:
        OSError: the link cannot be made for another reason.
    """
    home = found.parent
    link = home / LATEST
    if link.exists() and not link.is_symlink():
        return True
    if os.path.realpath(link) != os.path.realpath(found):
        new = home / f".{LATEST}.{found.name}"
        try:
            # Another process may make the same link at the same time.
            with suppress(FileExistsError, FileNotFoundError):
                new.unlink(missing_ok=True)
                new.symlink_to(found.name, target_is_directory=True)
                new.replace(link)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            return False
    return True
