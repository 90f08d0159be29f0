"""The values beside rooms in Redis."""

from __future__ import annotations

import asyncio
from typing import Any

from walkie_signal.backends.redis.scripts import READ, SWAP, Script
from walkie_signal.backends.redis.store.keys import EXPIRY, Keys, text_of
from walkie_signal.backends.shared.records import read_value
from walkie_signal.backends.shared.store import StrangeKeyError
from walkie_signal.core.values import ABSENT, Outcome, Value

OUTCOMES: dict[int, Outcome] = {1: "swapped", 0: "lost", -1: "gone"}
"""What the answers of `SWAP` mean."""


class StoredValues(Keys):
    """The values beside all rooms."""

    async def read(self, room: str, key: str) -> Value:
        """Return a value; `ABSENT` if there is none."""
        values = self._names.values(room)
        text = await self._remembered(self._run(READ, room, key), values)
        try:
            return ABSENT if text is None else read_value(key, text_of(text))
        except ValueError as error:
            self._strange.tell(values)
            raise StrangeKeyError(str(error)) from None

    async def swap(
        self, room: str, key: str, version: int, text: str, *, member: str | None, keep: int
    ) -> Outcome:
        """Give a value another text if it still has that version.

        Args:
            room: The room.
            key: What the value is called.
            version: The version that the value must have.
            text: The new text.
            member: The peer that has to be a member, or ``None``.
            keep: For how many milliseconds the value stays without a room.
        """
        node = self._incarnation.id
        asked = self._run(SWAP, room, key, version, node, keep, text, member or "")
        return OUTCOMES[await self._answer(asked, self._names.values(room))]

    def _run(self, script: Script, room: str, *arguments: str | int) -> asyncio.Future[Any]:
        return self._uplink.run(script, self._names.room_and_values(room), EXPIRY, *arguments)
