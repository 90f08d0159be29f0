"""Locks on files, by which the processes of one machine know at once that another has ended, however it did.

A lock is held as long as its file is open in the process that took it.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from pathlib import Path

from walkie_signal.forks import keep_from_forks

try:
    import fcntl
except ImportError:  # Windows, where servers run one process
    fcntl = None  # type: ignore[assignment]

AVAILABLE = fcntl is not None
"""Whether this system has such locks."""

UNKNOWN = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""The errors of a process or a machine that can open no further file: they say nothing about the lock."""

TRIES, PAUSE = 5, 0.01
"""How often to try a held lock, and the seconds between: who looks whether it is held shares it for a moment."""


class Lock:
    """A lock that this process holds.

    Attributes:
        path: Its file.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        keep_from_forks(self)

    @property
    def in_place(self) -> bool:
        """Whether the file that is locked is still the one at its path."""
        if self._descriptor < 0:
            return False
        try:
            return os.path.samestat(self.path.lstat(), os.fstat(self._descriptor))
        except OSError:
            return False

    def fileno(self) -> int:
        """Return the number of the open file; below 0 once it is closed."""
        return self._descriptor

    def write(self, text: str) -> None:
        """Replace what the file says."""
        data = text.encode()
        os.ftruncate(self._descriptor, len(data))
        os.pwrite(self._descriptor, data, 0)

    def release(self) -> None:
        """Remove the file, unless another one is in its place, and let go of the lock."""
        if self.in_place:
            with suppress(OSError):
                self.path.unlink()
        self.close()

    def close(self) -> None:
        """Close the file. In the process that took the lock, this lets go of it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def take(path: Path) -> Lock | None:
    """Take the lock on a file, which is made if there is none; ``None`` if another process holds it.

    A file is only removed by the process that holds it, or that has found that nobody does.

    Raises:
        OSError: The file can't be made.
    """
    for number in range(TRIES):
        if number:
            time.sleep(PAUSE)
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            continue
        lock = Lock(path, descriptor)
        if lock.in_place:
            return lock
        lock.close()
    return None


def is_held(path: Path) -> bool:
    """Tell whether a process holds the lock on a file; false if there is no such file.

    It counts as held if this can't be told now, because whoever lets go of its lock is given up.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        return error.errno in UNKNOWN
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def is_left(path: Path) -> bool:
    """Tell whether a file is there whose lock nobody holds: the process that held it has been killed."""
    return not is_held(path) and path.exists()  # in this order: a process that ends removes its file first
