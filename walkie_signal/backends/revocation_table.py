"""The table of revoked users in the store, by which each node knows of them."""

from __future__ import annotations

import asyncio
import logging
import time

from walkie_signal.backends.base import Backend
from walkie_signal.backends.swaps import Swaps
from walkie_signal.bounded_log import BoundedLog
from walkie_signal.core.identity import UserId
from walkie_signal.core.own_rooms import REVOCATIONS_ROOM
from walkie_signal.core.revocations import (
    Times,
    digest_of,
    lacks,
    merged,
    read_times,
    shelf_of,
    write_times,
)

log = logging.getLogger("walkie_signal")


class RevocationTable:
    """The table, as one node reads and changes it.

    Args:
        backend: Where it is.
        kept: For how many seconds a revocation stands in it.
    """

    def __init__(self, backend: Backend, kept: float) -> None:
        self._backend = backend
        self._kept = kept
        self._swaps = Swaps(backend)
        self._lines = BoundedLog(log)

    @property
    def since(self) -> int:
        """The time since which revocations are kept, in milliseconds since 1970."""
        return now() - round(self._kept * 1000)

    async def revoke(self, user_id: UserId, at: int) -> int:
        """Enter a user; returns how many connections it had on other nodes.

        Raises:
            SignalingError: ``unavailable``: it was not entered, or the connections can't be counted.
        """
        digest = digest_of(user_id)
        counted, entered = await asyncio.gather(
            self._backend.connections(user_id),
            self._put(shelf_of(digest), {digest: at}),
            return_exceptions=True,
        )
        for answer in (entered, counted):
            if isinstance(answer, BaseException):
                raise answer
        return int(counted)  # type: ignore[arg-type]

    async def complete(self, shelf: str, times: Times) -> None:
        """Put onto a shelf what it lacks.

        Raises:
            SignalingError: ``unavailable``.
        """
        value = await self._backend.read(REVOCATIONS_ROOM, shelf)
        if self.lacks(self.read(value.text), times):
            await self._put(shelf, times)

    async def _put(self, shelf: str, times: Times) -> None:
        def rule(text: str) -> str:
            after = merged(self.read(text), times, self.since)
            if after.dropped:
                line = "too many users are revoked at a time: the earliest of them are let in again (%d)"
                self._lines.write(logging.WARNING, "revocations that are dropped", line, after.dropped)
            return write_times(after.times)

        await self._swaps.change(REVOCATIONS_ROOM, shelf, rule, keep=self._kept)

    def read(self, text: str) -> Times:
        """Read a shelf; one that can't be read is empty."""
        try:
            return read_times(text)
        except ValueError as error:
            line = "the revocations in the store can't be read: %s"
            self._lines.write(logging.WARNING, "revocations that can't be read", line, error)
            return {}

    def lacks(self, one: Times, other: Times) -> bool:
        """Tell whether a shelf lacks something of another one that is still kept."""
        return lacks(one, other, self.since)


def now() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000
