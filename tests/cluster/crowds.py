"""The raw peers of a test of several nodes, hundreds if need be."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from support.peers import RawPeer, raw_peer
from support.waiting import WITHIN, eventually

TAG = 8
"""Characters of a session's id that name its worker."""

STARTED = 30.0
"""Seconds in which the last worker of a command takes connections."""


def worker_of(peer: RawPeer) -> str:
    """Return what names the worker that holds a peer's session."""
    return str(peer.handshake["sid"][:TAG])


class Crowd:
    """The peers of one test."""

    def __init__(self) -> None:
        self.peers: list[RawPeer] = []
        self._stack = AsyncExitStack()

    async def connect(self, url: str) -> RawPeer:
        """Connect a peer to a server and its namespace."""
        peer = await self._stack.enter_async_context(raw_peer(url))
        self.peers.append(peer)
        told = await peer.connect()
        assert peer.peer_id, f"refused: {told}"
        return peer

    async def join(self, url: str, room: str, **claims: Any) -> RawPeer:
        """Connect a peer and let it join a room."""
        peer = await self.connect(url)
        ack = await peer.enter(room, **claims)
        assert ack["ok"], ack
        return peer

    async def fill(self, url: str, rooms: Iterable[str], each: int = 1) -> list[RawPeer]:
        """Let so many peers join each room by way of one server."""
        return list(await asyncio.gather(*(self.join(url, room) for room in rooms for _ in range(each))))

    async def spread(self, url: str, room: str, each: int = 1) -> list[RawPeer]:
        """Let so many peers of each of two workers join a room; returns those of the one, then those of the other.

        The kernel gives a connection to either.
        """
        held: defaultdict[str, list[RawPeer]] = defaultdict(list)

        async def come() -> list[list[RawPeer]]:
            for peer in await asyncio.gather(*(self.connect(url) for _ in range(4))):
                held[worker_of(peer)].append(peer)
            return [its[:each] for its in held.values()]

        def both(found: list[list[RawPeer]]) -> bool:
            return [len(its) for its in found] == [each, each]

        one, other = await eventually(come, both, "on two workers", within=STARTED)
        for peer in (*one, *other):
            await peer.join(room)
        return [*one, *other]

    async def settled(self, *peers: RawPeer, within: float = WITHIN) -> None:
        """Wait until each of these peers sees just those of them that are in its room."""
        rooms: dict[str, list[str]] = {}
        for peer in peers:
            rooms.setdefault(peer.room, []).append(peer.peer_id)
        await asyncio.gather(*(peer.sees(rooms[peer.room], within) for peer in peers))

    async def close(self) -> None:
        """Drop every connection."""
        await asyncio.gather(*(peer.abort() for peer in self.peers))
        await self._stack.aclose()


@asynccontextmanager
async def crowd() -> AsyncIterator[Crowd]:
    """Keep peers until the test leaves this."""
    peers = Crowd()
    try:
        yield peers
    finally:
        await peers.close()
