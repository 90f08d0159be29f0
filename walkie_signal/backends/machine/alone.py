"""A worker that keeps the rooms of its group while nobody else is there: what it does then costs what memory costs.

It holds the lock of a term and listens, on the event loop of its process and without a thread. When somebody comes,
or when another term has begun, it is not alone any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from walkie_signal.backends.machine.folder import Office

LOOK = 1.0
"""Seconds between two looks whether this is still the last term."""


class Alone:
    """The time in which a worker is alone.

    Args:
        office: The term.
        company: Called once with this, when the time is over.

    Attributes:
        office: As given.
    """

    def __init__(self, office: Office, company: Callable[[Alone], None]) -> None:
        self._company = company
        self.office = office
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(office.listener, self.end)
        self._looking = self._loop.call_later(LOOK, self._look)

    def _look(self) -> None:
        if self.office.can_be_found:
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
        self.office.resign()

    def _stop(self) -> None:
        self._looking.cancel()
        self._loop.remove_reader(self.office.listener)
