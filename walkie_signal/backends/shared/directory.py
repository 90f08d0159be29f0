"""Where each peer and each user is: which connections there are, and the node of each.

Each entry belongs to the node that wrote it. If that node is dead, its entries reach nobody. The node that
removes the dead node also takes out the entries of peers that were in a room; the others expire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial

from walkie_signal.backends.shared.healing import TOUCHED_IN
from walkie_signal.backends.shared.store import Place, PlaceStore
from walkie_signal.backends.shared.uplink import unavailable
from walkie_signal.core.identity import UserId

WRITTEN_BACK_IN = 3.0
"""Seconds in which other nodes have written their entries back to a store that has lost its memory.

A node finds that out within a second, by its beat, and connects again after up to another one.
"""

AT_ONCE = 500
"""Entries that are written without waiting for the store."""


class Directory:
    """The entries of one node."""

    def __init__(self, store: PlaceStore) -> None:
        self._store = store
        self._here: dict[Place, None] = {}
        self._owed: dict[Place, None] = {}
        self._whole_from = 0.0  # on the loop's clock
        self._to_touch: Iterator[Place] = iter(())

    def add(self, peer_id: str, user_id: UserId | None) -> None:
        """Enter a connection, and the user that it speaks for."""
        for place in places_of(peer_id, user_id):
            self._store.enter(place)  # what can't be written is not kept
            self._here[place] = None
            self._owed.pop(place, None)

    def remove(self, peer_id: str, user_id: UserId | None) -> None:
        """Take out a connection, and also the user's entry for it."""
        for place in places_of(peer_id, user_id):
            if self._here.pop(place, self) is None:
                self._owed[place] = None
                self._store.remove(place, partial(self._removed, place))

    def forget(self, peer_id: str, user_id: UserId | None) -> None:
        """Take out the connection of a dead node."""
        for place in places_of(peer_id, user_id):
            self._store.remove(place)

    def _removed(self, place: Place, done: bool) -> None:  # noqa: FBT001 - see `PlaceStore.remove`
        if done:
            self._owed.pop(place, None)

    async def node_of_peer(self, peer_id: str) -> str | None:
        """Return the node of a connection, or ``None`` if there is no such connection.

        Raises:
            SignalingError: ``unavailable``: it may only not have been written back yet.
            One of `Failed`: The store is away.
        """
        nodes = await self._store.nodes_of_peer(peer_id)
        return self._checked(nodes).get(peer_id)

    async def nodes_of_user(self, user_id: UserId) -> list[str]:
        """Return the node of each connection of a user; raises like `node_of_peer` if there is none."""
        nodes = await self._store.nodes_of_user(str(user_id))
        return list(self._checked(nodes).values())

    def _checked(self, nodes: dict[str, str]) -> dict[str, str]:
        if not nodes and asyncio.get_running_loop().time() < self._whole_from:
            raise unavailable()
        return nodes

    async def restore(self, *, others_have_to: bool) -> None:
        """Write every entry on a new connection to the store, and take out those that have gone meanwhile.

        Args:
            others_have_to: Whether the store has lost its memory, so that other nodes do the same.
        """
        if others_have_to:
            self._whole_from = asyncio.get_running_loop().time() + WRITTEN_BACK_IN
        for number, place in enumerate(list(self._owed), 1):
            self._store.remove(place, partial(self._removed, place))
            if number % AT_ONCE == 0:
                await self._store.caught_up()
        for number, place in enumerate(list(self._here), 1):
            self._store.enter(place)
            if number % AT_ONCE == 0:
                await self._store.caught_up()

    def touch(self) -> None:
        """Write some of the entries again, in case the store refused them; over time each has its turn."""
        for _ in range(len(self._here) // TOUCHED_IN + 1):
            place = next(self._to_touch, None)
            if place is None:
                self._to_touch = iter(list(self._here))
                return
            if place in self._here:
                self._store.enter(place)


def places_of(peer_id: str, user_id: UserId | None) -> list[Place]:
    """Return what is entered about a connection."""
    places = [Place(peer_id, None)]
    if user_id is not None:
        places.append(Place(peer_id, str(user_id)))
    return places
