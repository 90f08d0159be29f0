"""The values beside rooms. They are read and swapped in Redis, whether or not this node follows the room."""

from __future__ import annotations

import asyncio
from typing import Any

from walkie_signal.backends.redis.followed import EXPIRY, FollowedRooms
from walkie_signal.backends.redis.healing import Healing
from walkie_signal.backends.redis.messages import read_value
from walkie_signal.backends.redis.names import Names
from walkie_signal.backends.redis.scripts import READ, SWAP, Script
from walkie_signal.backends.redis.strange import StrangeKeys
from walkie_signal.backends.redis.uplink import Failed, Uplink, unavailable
from walkie_signal.core.values import ABSENT, Outcome, Value, check_value

OUTCOMES: dict[int, Outcome] = {1: "swapped", 0: "lost", -1: "gone"}
"""What the answers of `SWAP` mean."""


class Values:
    """Reads and swaps values for one node."""

    def __init__(
        self, names: Names, uplink: Uplink, rooms: FollowedRooms, healing: Healing, strange: StrangeKeys
    ) -> None:
        self._names = names
        self._uplink = uplink
        self._rooms = rooms
        self._healing = healing
        self._strange = strange

    async def read(self, room: str, key: str) -> Value:
        """Return a value; see `Backend.read`."""
        self._check(room, key)
        asked = self._run(READ, room, key)
        try:
            text = await self._healing.remembered(asked)
            return ABSENT if text is None else read_value(key, text.decode("utf-8", "replace"))
        except ValueError:
            self._strange.tell(self._names.values(room))
            raise unavailable() from None
        except Failed as error:
            self._strange.look(self._names.values(room), error)
            raise unavailable() from None

    async def swap(
        self, room: str, key: str, version: int, text: str, *, member: str | None, keep: float
    ) -> Outcome:
        """Give a value another text; see `Backend.swap`."""
        check_value(key, text)
        self._check(room, key)
        node, stays = self._uplink.node_id, round(keep * 1000)
        try:
            answer = await self._run(SWAP, room, key, version, node, stays, text, member or "")
        except Failed as error:
            self._strange.look(self._names.values(room), error)
            raise unavailable() from None
        return OUTCOMES[answer]

    def _check(self, room: str, key: str) -> None:
        """Do nothing while this value can be read and swapped.

        Raises:
            SignalingError: ``unavailable`` while it can't, because Redis is away, or lacks the value only until
                its node has written it back.
        """
        self._uplink.check()
        followed = self._rooms.get(room)
        if followed is not None and followed.replica.holds(key):
            raise unavailable()

    def _run(self, script: Script, room: str, key: str, *arguments: str | int) -> asyncio.Future[Any]:
        keys = [self._names.room(room), self._names.values(room)]
        return self._uplink.run(script, keys, EXPIRY, key, *arguments)
