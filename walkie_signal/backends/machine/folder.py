"""The files of the workers of one group, in a folder that only their user may enter.

term-000000000007.lock   held by the keeper of the term      term-….sock   where it listens
worker-….lock            held by a worker for its life; the id of its node stands in it
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from walkie_signal import file_locks
from walkie_signal.file_locks import Lock
from walkie_signal.runtime_folder import UnusableError, make_ours
from walkie_signal.unix_sockets import PATH_BYTES, listener_at

LEFT = 60.0
"""Seconds without a change after which a folder in which no lock is held counts as left behind."""

_TERM = re.compile(r"term-(\d{12})\.lock")


class Office:
    """A term that this process has begun.

    Attributes:
        term: Its number.
        lock: Its lock.
        listener: The socket that listens for it.
    """

    def __init__(self, term: int, lock: Lock, listener: socket.socket, path: Path) -> None:
        self.term = term
        self.lock = lock
        self.listener = listener
        self._path = path

    @property
    def can_be_found(self) -> bool:
        """Whether others find the keeper: nobody has begun a later term, and nobody has removed its files."""
        return self.lock.in_place and self._path.exists()

    def resign(self) -> None:
        """End the term."""
        self.listener.close()
        with suppress(OSError):
            if self.lock.in_place:
                self._path.unlink()
        self.lock.release()


class GroupFolder:
    """The folder of one group.

    Args:
        path: Where it is; it has been checked.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def ensure(self) -> None:
        """Make the folder again if somebody has removed it, such as a cleaner of temporary files.

        Raises:
            UnusableError: It can't be made, or what is there is not ours.
        """
        make_ours(self.path)

    def leave(self) -> None:
        """Remove the folder if nobody has a file in it any more."""
        with suppress(OSError):
            self.path.rmdir()

    # Terms

    def latest(self) -> int:
        """Return the number of the last term; 0 if there was none, or if the folder is not there."""
        return max(self._terms(), default=0)

    def _terms(self) -> Iterator[int]:
        with suppress(FileNotFoundError):
            for name in os.listdir(self.path):  # noqa: PTH208 - a node looks every second, a Path takes longer
                found = _TERM.fullmatch(name)
                if found:
                    yield int(found[1])

    def is_held(self, term: int) -> bool:
        """Tell whether a term has a keeper."""
        return file_locks.is_held(self._term(term))

    def goes_on(self, term: int) -> bool:
        """Tell whether a term may be the last one still: whoever begins a later one removes its file.

        Unlike `latest` this opens nothing, so it can be told in a process that may open no further file.
        """
        return self._term(term).exists()

    def begin(self, term: int) -> Office | None:
        """Begin a term, which ends all earlier ones; ``None`` if somebody else has begun it, or a later one.

        Raises:
            OSError: The files can't be made.
        """
        lock = file_locks.take(self._term(term))
        if lock is None:
            return None
        try:
            listener = None if self.latest() > term else self._listen(term)
        except BaseException:
            lock.release()
            raise
        if listener is None:
            lock.release()
            return None
        for earlier in self._terms():
            if earlier < term:
                for path in (self._term(earlier), self.socket_of(earlier)):
                    with suppress(OSError):
                        path.unlink()
        return Office(term, lock, listener, self.socket_of(term))

    def _term(self, term: int) -> Path:
        return self.path / f"term-{term:012}.lock"

    def socket_of(self, term: int) -> Path:
        """Return the path of the socket where the keeper of a term listens."""
        return self.path / f"term-{term:012}.sock"

    def _listen(self, term: int) -> socket.socket:
        path = self.socket_of(term)
        with suppress(FileNotFoundError):
            path.unlink()
        return listener_at(path)

    # Workers

    def enter(self) -> Lock:
        """Take the lock of a new worker.

        Raises:
            OSError: The file can't be made.
        """
        lock = None
        while lock is None:
            lock = file_locks.take(self.path / f"worker-{secrets.token_hex(8)}.lock")
        return lock

    def was_killed(self, worker: str) -> bool:
        """Tell whether a worker was killed, by the name of its lock; not known if somebody has removed the file."""
        return file_locks.is_left(self.path / worker)

    def remove(self, worker: str) -> None:
        """Remove the file of a worker that was killed; one that lives keeps it, whatever its node was."""
        if self.was_killed(worker):
            with suppress(OSError):
                (self.path / worker).unlink()

    def workers(self) -> dict[str, str]:
        """Return the nodes of all workers, also of those that ended without a word, each with its lock's name."""
        found = {}
        for path in self.path.glob("worker-*.lock"):
            with suppress(OSError):
                found[path.read_text("utf-8", "replace")] = path.name
        found.pop("", None)  # it has not said yet which node it is
        return found


def open_folder(base: Path, key: str) -> GroupFolder:
    """Return the folder of a group, and make it if there is none.

    Args:
        base: A folder that only our user may enter.
        key: What no other group has.

    Raises:
        UnusableError: It can't be used; the text says why.
    """
    _remove_left(base)
    folder = GroupFolder(make_ours(base / f"m-{hashlib.sha256(key.encode()).hexdigest()[:12]}"))
    if len(os.fsencode(folder.socket_of(1))) > PATH_BYTES:
        raise UnusableError(f"{base} is too long for a Unix socket in it")
    if not os.access(folder.path, os.W_OK):
        raise UnusableError(f"{folder.path} can't be written")
    return folder


def _remove_left(base: Path) -> None:
    """Remove the folders of groups whose processes were all killed."""
    for path in base.glob("m-*"):
        with suppress(OSError):
            files = list(path.iterdir())
            if time.time() - path.stat().st_mtime > LEFT and not any(map(file_locks.is_held, files)):
                for each in files:
                    each.unlink()
                path.rmdir()
