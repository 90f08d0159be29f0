"""Where each peer and each user is: which connections there are, and the node of each.

Each entry belongs to the node that wrote it. If that node is dead, its entries reach nobody. The node that
removes the dead node also takes out the entries of peers that were in a room; the others expire.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import hiredis

from walkie_signal.backends.redis.followed import EXPIRY
from walkie_signal.backends.redis.healing import TOUCHED_IN
from walkie_signal.backends.redis.names import Names
from walkie_signal.backends.redis.strange import StrangeKeys, is_strange
from walkie_signal.backends.redis.uplink import Uplink
from walkie_signal.backends.redis.wire import ignore, packed
from walkie_signal.core.identity import UserId

AT_ONCE = 500
"""Entries that are written without waiting for Redis."""


class Directory:
    """The entries of one node."""

    def __init__(self, names: Names, uplink: Uplink, strange: StrangeKeys) -> None:
        self._names = names
        self._uplink = uplink
        self._strange = strange
        self._here: dict[tuple[str, str], None] = {}
        self._owed: dict[tuple[str, str], None] = {}
        self._to_touch: Iterator[tuple[str, str]] = iter(())

    def add(self, peer_id: str, user_id: UserId | None) -> None:
        """Enter a connection, and the user that it speaks for."""
        for entry in self._entries(peer_id, user_id):
            self._here[entry] = None
            self._owed.pop(entry, None)
            self._write(entry)

    def remove(self, peer_id: str, user_id: UserId | None) -> None:
        """Take out a connection, and also the user's entry for it."""
        for entry in self._entries(peer_id, user_id):
            if self._here.pop(entry, self) is None:
                self._owed[entry] = None
                self._uplink.post(packed("HDEL", *entry), partial(self._removed, entry))

    def forget(self, peer_id: str, user_id: UserId | None) -> None:
        """Take out the connection of a dead node."""
        for entry in self._entries(peer_id, user_id):
            self._uplink.post(packed("HDEL", *entry), ignore)

    def _entries(self, peer_id: str, user_id: UserId | None) -> list[tuple[str, str]]:
        entries = [(self._names.peer(peer_id), peer_id)]
        if user_id is not None:
            entries.append((self._names.user(str(user_id)), peer_id))
        return entries

    def _write(self, entry: tuple[str, str]) -> None:
        key, peer_id = entry
        answer = partial(self._strange.look, key)
        self._uplink.post(packed("HSET", key, peer_id, self._uplink.node_id), answer)
        self._uplink.post(packed("PEXPIRE", key, EXPIRY), ignore)

    def _removed(self, entry: tuple[str, str], answer: Any) -> None:
        self._strange.look(entry[0], answer)
        if isinstance(answer, int) or is_strange(answer):
            self._owed.pop(entry, None)

    async def nodes_of_peer(self, peer_id: str) -> dict[str, str]:
        """Return the node of a connection, by its peer id; empty if there is no such connection."""
        return await self._read(self._names.peer(peer_id))

    async def nodes_of_user(self, user_id: str) -> dict[str, str]:
        """Return the node of each connection of a user, by peer id."""
        return await self._read(self._names.user(user_id))

    async def _read(self, key: str) -> dict[str, str]:
        try:
            found = await self._uplink.ask("HGETALL", key)
        except hiredis.ReplyError as error:
            self._strange.look(key, error)
            raise
        fields = [field.decode("utf-8", "replace") for field in found]
        return dict(zip(fields[::2], fields[1::2], strict=True))

    async def restore(self) -> None:
        """Write every entry on a new connection to Redis, and take out those that have gone meanwhile."""
        for number, entry in enumerate(list(self._owed), 1):
            self._uplink.post(packed("HDEL", *entry), partial(self._removed, entry))
            if number % AT_ONCE == 0:
                await self._uplink.ask("GET", self._names.generation)
        for number, entry in enumerate(list(self._here), 1):
            self._write(entry)
            if number % AT_ONCE == 0:
                await self._uplink.ask("GET", self._names.generation)

    def touch(self) -> None:
        """Write some of the entries again, in case Redis refused them; over time each entry has its turn."""
        for _ in range(len(self._here) // TOUCHED_IN + 1):
            entry = next(self._to_touch, None)
            if entry is None:
                self._to_touch = iter(list(self._here))
                return
            if entry in self._here:
                self._write(entry)
