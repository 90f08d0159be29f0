"""The values beside rooms. They are read and swapped in the store, whether or not this node follows the room."""

from __future__ import annotations

from walkie_signal.backends.shared.followed import FollowedRooms
from walkie_signal.backends.shared.store import Failed, ValueStore
from walkie_signal.backends.shared.uplink import Uplink, unavailable
from walkie_signal.core.values import Outcome, Value, check_value


class Values:
    """Reads and swaps values for one node."""

    def __init__(self, store: ValueStore, uplink: Uplink, rooms: FollowedRooms) -> None:
        self._store = store
        self._uplink = uplink
        self._rooms = rooms

    async def read(self, room: str, key: str) -> Value:
        """Return a value; see `Backend.read`."""
        self._check(room, key)
        try:
            return await self._store.read(room, key)
        except Failed:
            raise unavailable() from None

    async def swap(
        self, room: str, key: str, version: int, text: str, *, member: str | None, keep: float
    ) -> Outcome:
        """Give a value another text; see `Backend.swap`."""
        check_value(key, text)
        self._check(room, key)
        try:
            return await self._store.swap(room, key, version, text, member=member, keep=round(keep * 1000))
        except Failed:
            raise unavailable() from None

    def _check(self, room: str, key: str) -> None:
        """Do nothing while this value can be read and swapped.

        Raises:
            SignalingError: ``unavailable`` while it can't, because the store is away, or lacks the value only until
                its node has written it back.
        """
        self._uplink.check()
        copy = self._rooms.get(room)
        if copy is not None and copy.holds(key):
            raise unavailable()
