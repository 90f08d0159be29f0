"""Finds out whether other processes of the same command keep rooms in their own memory.

Under ``uvicorn --workers 2`` and similar commands, half of the peers would never hear of the other half.
Workers are processes of one parent, with the same folder and the same arguments. The first of them holds a
lock, and each other worker finds that it is held. The worker that holds it removes the lock's file when it ends.
If a process was killed, the next one that starts removes its file.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import time
from pathlib import Path

from walkie_signal.runtime_folder import UnusableError, folder

try:
    import fcntl
except ImportError:  # Windows, where servers run one process
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger("walkie_signal")

TRIES, PAUSE = 5, 0.01
"""How often to try a held lock, and the seconds between: a process that removes an old file holds it briefly."""


class _Lock:
    """The lock of this process, for as many nodes as it has."""

    def __init__(self) -> None:
        self._path = Path()
        self._descriptor: int | None = None
        self._process = 0
        self._nodes = 0

    def lock(self) -> bool:
        """Hold the lock for one more node; returns false if another process holds it.

        Raises:
            OSError: The file can't be made.
            UnusableError: There is no folder for it.
        """
        if self._nodes and self._process == os.getpid():
            self._nodes += 1
            return self._descriptor is not None
        where = folder()
        self._path = where / f"{_name()}.lock"
        self._process, self._descriptor = os.getpid(), _locked(self._path, TRIES)
        self._nodes = 1
        _remove_left(where)
        return self._descriptor is not None

    def unlock(self) -> None:
        """Hold the lock for one node less."""
        if self._nodes == 0 or self._process != os.getpid():
            return
        self._nodes -= 1
        if self._nodes == 0 and self._descriptor is not None:
            _remove(self._path, self._descriptor)
            self._descriptor = None


_OURS = _Lock()


def warn_of_siblings() -> None:
    """Log one loud warning if another worker of this command runs with rooms in memory."""
    if fcntl is None:
        return
    try:
        alone = _OURS.lock()
    except (OSError, UnusableError) as error:
        log.debug("no look-out for other workers: %s", error)
        return
    if not alone:
        log.warning(
            "SEVERAL WORKERS, ROOMS IN MEMORY: peers of this worker and of the others never see one another. "
            "Give them a name (backend=, --backend: machine:<name>), or run one worker."
        )


def part_from_siblings() -> None:
    """Take back that a node of this process keeps rooms in memory; `warn_of_siblings` was called once for each."""
    _OURS.unlock()


def _name() -> str:
    command = "\0".join([str(os.getuid()), str(os.getppid()), str(Path.cwd()), *sys.argv])
    return hashlib.sha256(command.encode(errors="surrogateescape")).hexdigest()[:32]


def _locked(path: Path, tries: int) -> int | None:
    """Return a descriptor of the file, locked; ``None`` if another process has locked it.

    A process only removes the file while it holds the lock. So once we hold it, the file is either still there,
    or it was removed before.
    """
    while tries > 0:
        lock = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            tries -= 1
            if tries:
                time.sleep(PAUSE)
            continue
        if _is_at(path, lock):
            return lock
        os.close(lock)
    return None


def _is_at(path: Path, lock: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(lock))
    except FileNotFoundError:
        return False


def _remove(path: Path, lock: int) -> None:
    """Remove a file that we have locked, and unlock it."""
    try:
        if _is_at(path, lock):
            path.unlink()
    except OSError as error:
        log.debug("the file of a lock stays: %s", error)
    os.close(lock)


def _remove_left(where: Path) -> None:
    """Remove the files of processes that were killed."""
    for path in where.glob("*.lock"):
        try:
            lock = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:  # the file has just been removed
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
        else:
            _remove(path, lock)
