"""Finds out whether other processes of the same command keep rooms in their own memory.

Under ``uvicorn --workers 2`` and similar commands, half of the peers would never hear of the other half.
Workers are processes of one parent, with the same folder and the same arguments. The first of them holds a
lock, and each other worker finds that it is held.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import tempfile
from functools import cache
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where servers run one process
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger("walkie_signal")


def warn_of_siblings() -> None:
    """Log one loud warning if another worker of this command runs with rooms in memory."""
    if fcntl is None:
        return
    try:
        alone = _lock() is not None
    except OSError as error:
        log.debug("no look-out for other workers: %s", error)
        return
    if not alone:
        log.warning(
            "SEVERAL WORKERS, ROOMS IN MEMORY: peers of this worker and of the others never see one another. "
            "Give a Redis URL (backend=, --redis-url), or run one worker."
        )


@cache
def _lock() -> int | None:
    """Hold this process's lock until it ends; ``None`` if another worker holds it."""
    command = "\0".join([str(os.getuid()), str(os.getppid()), str(Path.cwd()), *sys.argv])
    name = hashlib.sha256(command.encode(errors="surrogateescape")).hexdigest()[:32]
    path = Path(tempfile.gettempdir()) / f"walkie-signal-{name}.lock"
    lock = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock
