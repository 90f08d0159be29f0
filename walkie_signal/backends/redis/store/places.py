"""Where peers and users are, as Redis has it: each connection, and the node that it is on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from walkie_signal.backends.redis.store.keys import EXPIRY, Keys, pairs_of
from walkie_signal.backends.redis.store.strange import is_strange
from walkie_signal.backends.redis.wire import ignore, packed
from walkie_signal.backends.shared.store import Place


class StoredPlaces(Keys):
    """The places of all peers and users."""

    def enter(self, place: Place) -> None:
        """Enter that a connection is on this node; nothing is raised."""
        key = self._key(place)
        entered = partial(self._strange.look, key)
        self._uplink.post(packed("HSET", key, place.peer_id, self._incarnation.id), entered)
        self._uplink.post(packed("PEXPIRE", key, EXPIRY), ignore)

    def remove(self, place: Place, removed: Callable[[bool], None] = ignore) -> None:
        """Take an entry out; nothing is raised.

        `removed` is called with whether it is done, also if the key is strange: then there is no entry.
        """
        key = self._key(place)
        self._uplink.post(packed("HDEL", key, place.peer_id), partial(self._removed, key, removed))

    def _removed(self, key: str, removed: Callable[[bool], None], answer: Any) -> None:
        self._strange.look(key, answer)
        removed(isinstance(answer, int) or is_strange(answer))

    async def caught_up(self) -> None:
        """Wait until Redis has carried out what it was asked for before."""
        await self._answer(self._uplink.ask("GET", self._names.generation))

    async def nodes_of_peer(self, peer_id: str) -> dict[str, str]:
        """Return the node of a connection, by its peer id; empty if there is no such connection."""
        return await self._nodes(self._names.peer(peer_id))

    async def nodes_of_user(self, user_id: str) -> dict[str, str]:
        """Return the node of each connection of a user, by peer id."""
        return await self._nodes(self._names.user(user_id))

    async def _nodes(self, key: str) -> dict[str, str]:
        found = await self._read("HGETALL", key)
        if not found:
            found = await self._remembered(self._uplink.ask("HGETALL", key), key)
        return dict(pairs_of(found))

    def _key(self, place: Place) -> str:
        if place.user_id is None:
            return self._names.peer(place.peer_id)
        return self._names.user(place.user_id)
