"""A worker that keeps the rooms of its group while nobody else is there: what it does then costs what memory costs.

It holds the lock of a term and listens, on the event loop of its process and without a thread. When somebody comes,
or when another term has begun, it is not alone any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from walkie_signal.backends.machine.folder import GroupFolder
from walkie_signal.file_locks import Lock

LOOK = 1.0
"""Seconds between two looks whether this is still the last term."""


class Alone:
    """The time in which a worker is alone.

    Args:
        folder: The folder of the group.
        term: The number of the term.
        lock: The lock of the term.
        company: Called once with this, when the time is over.

    Attributes:
        term: As given.
        lock: As given.
        listener: The socket that listens for the term.
    """

    def __init__(self, folder: GroupFolder, term: int, lock: Lock, company: Callable[[Alone], None]) -> None:
        self._folder = folder
        self._company = company
        self.term = term
        self.lock = lock
        self.listener = folder.listen(term)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.listener, self.end)
        self._looking = self._loop.call_later(LOOK, self._look)

    @property
    def in_office(self) -> bool:
        """Whether this is still the last term, and others can come."""
        there = self.lock.in_place and self._folder.listens(self.term)
        return there and self._folder.latest() == self.term

    def _look(self) -> None:
        if self.in_office:
            self._looking = self._loop.call_later(LOOK, self._look)
        else:
            self.end()

    def end(self) -> None:
        """Be alone no more."""
        self._stop()
        self._company(self)

    def close(self) -> None:
        """End the term, because the worker ends."""
        self._stop()
        self.resign()

    def resign(self) -> None:
        """Let go of a term that is not the last one any more, or that nobody needs."""
        self.listener.close()
        with suppress(OSError):
            if self.in_office:
                self._folder.socket_of(self.term).unlink()
        self.lock.release()

    def _stop(self) -> None:
        self._looking.cancel()
        self._loop.remove_reader(self.listener)
