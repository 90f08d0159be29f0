"""Peers that come through a proxy, each from an address of its own, and what they say to one another."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from cluster.service import rosters
from support.redis import RedisServer
from support.stock import StockPeer

MOST = 40
"""Peers after which a node that holds none is taken to be out of reach."""

ROOM = "gate"


class Guests:
    """Peers in one room.

    Attributes:
        present: Those that are there, in the order they came.
        nodes: Which node holds each, by its id.
    """

    def __init__(self, redis: RedisServer, url: str, path: str) -> None:
        self.present: list[StockPeer] = []
        self.nodes: dict[str, str] = {}
        self._redis = redis
        self._url = url
        self._path = path
        self._addresses = (f"127.0.{net}.{host}" for net in range(1, 9) for host in range(1, 255))

    async def come(self, *transports: str, **connecting: Any) -> StockPeer:
        """Connect a peer, from the next address of loopback, and let it join; `connecting` goes to its library."""
        peer = StockPeer(aiohttp.TCPConnector(local_addr=(next(self._addresses), 0)))
        self.present.append(peer)
        await peer.sio.connect(self._url, socketio_path=self._path, transports=[*transports], **connecting)
        await peer.join(ROOM)
        return peer

    async def come_to_both(self, number: int, *transports: tuple[str, ...]) -> None:
        """Let so many peers come, their transports by turns, and more until two nodes hold some."""
        for turn in itertools.islice(itertools.cycle(transports), MOST):
            await self.come(*turn)
            self.nodes = (await rosters(self._redis))[ROOM]
            if len(self.present) >= number and len(set(self.nodes.values())) == 2:
                return
        raise AssertionError(f"of {MOST} peers all are on {set(self.nodes.values())}")

    async def see_one_another(self) -> None:
        """Wait until each has the whole roster."""
        everybody = {peer.peer_id for peer in self.present}

        def rostered(peer: StockPeer) -> set[str]:
            rosters = [data["members"] for event, data in peer.heard if event == "room_status"]
            return {member["peerId"] for member in rosters[-1]} if rosters else set()

        for peer in self.present:
            await peer.until(lambda peer=peer: rostered(peer) == everybody, f"roster of {len(everybody)}")  # type: ignore[misc]

    async def signal_to_one_another(self) -> None:
        """Let each signal to each other one, with an ack, and be heard."""

        async def say(sender: StockPeer, target: StockPeer) -> None:
            assert await sender.signal(target, {"sdp": sender.peer_id}) == {"ok": True}
            said = await target.hears("signal", fromId=sender.peer_id)
            assert said["signal"] == {"sdp": sender.peer_id}

        for sender in self.present:
            await asyncio.gather(*(say(sender, target) for target in self.present if target is not sender))

    async def leave(self) -> None:
        """Let one leave the room and one close its connection, and all others hear of it."""
        leaving, closing, *staying = self.present
        assert await leaving.ask("leave_room", {"room": ROOM}) == {"ok": True}
        closed = closing.peer_id
        await asyncio.gather(
            closing.close(),
            *(peer.hears("peer_disconnected", peerId=leaving.peer_id, reason="left") for peer in staying),
            *(peer.hears("peer_disconnected", peerId=closed, reason="disconnected") for peer in staying),
        )

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(peer.close() for peer in self.present))


@asynccontextmanager
async def guests(redis: RedisServer, url: str, path: str = "/socket.io") -> AsyncIterator[Guests]:
    """Keep the peers of a test, which come to `url` and the endpoint's `path`."""
    made = Guests(redis, url, path)
    try:
        yield made
    finally:
        await made.close()


async def hold_a_conversation(coming: Guests, number: int, *transports: tuple[str, ...]) -> None:
    """Let peers come to two nodes, see and signal to one another, and leave."""
    await coming.come_to_both(number, *transports)
    await coming.see_one_another()
    await coming.signal_to_one_another()
    await coming.leave()
