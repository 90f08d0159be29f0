"""What the parts of the store have in common: how they name keys, ask for them, and tell of strange ones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import hiredis

from walkie_signal.backends.redis.store.names import Names
from walkie_signal.backends.redis.store.strange import StrangeKeys, is_strange
from walkie_signal.backends.redis.uplink import Uplink
from walkie_signal.backends.redis.wire import words
from walkie_signal.backends.shared.incarnation import Incarnation
from walkie_signal.backends.shared.store import MEMORY_LOST, LostError, RefusedError, StrangeKeyError

EXPIRY = 3_600_000
"""Milliseconds after which Redis drops what no node renews: it removes leftovers, but no node counts as dead."""


class Keys:
    """The keys of one noun.

    Args:
        names: Their names.
        uplink: The way to Redis.
        incarnation: The node that asks.
        strange: The keys that the log has named.
    """

    def __init__(self, names: Names, uplink: Uplink, incarnation: Incarnation, strange: StrangeKeys) -> None:
        self._names = names
        self._uplink = uplink
        self._incarnation = incarnation
        self._strange = strange

    async def _answer(self, asked: asyncio.Future[Any], key: str | None = None) -> Any:
        """Return what Redis answers.

        Raises:
            StrangeKeyError: `key` is strange; the log has named it.
            RefusedError: Redis answers with another error.
            LostError: The connection ended before.
        """
        try:
            return await asked
        except hiredis.ReplyError as error:
            if key is None or not is_strange(error):
                raise RefusedError(words(error)) from None
            self._strange.tell(key)
            raise StrangeKeyError(words(error)) from None

    async def _remembered(self, asked: asyncio.Future[Any], key: str) -> Any:
        """Return the answer to the request before, if Redis had not lost its memory when it came.

        If it had, that answer lacks what the next restore writes back.
        """
        drawn = self._uplink.ask("GET", self._names.generation)
        answer, generation = await self._answer(asked, key), await self._answer(drawn)
        if generation is None or text_of(generation) != self._incarnation.generation:
            self._uplink.lose(MEMORY_LOST)
            raise LostError(MEMORY_LOST)
        return answer

    async def _read(self, command: str, key: str) -> Any:
        return await self._answer(self._uplink.ask(command, key), key)


def text_of(data: bytes) -> str:
    """Return what Redis holds as text, whatever it is."""
    return data.decode("utf-8", "replace")


def pairs_of(flat: Iterable[bytes]) -> Iterable[tuple[str, str]]:
    """Return the names and values of a list in which they take turns."""
    texts = [text_of(data) for data in flat]
    return zip(texts[::2], texts[1::2], strict=True)
