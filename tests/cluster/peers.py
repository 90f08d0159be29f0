"""Peers for tests of several nodes: light enough for hundreds, each event kept with its time."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from websockets.asyncio.client import ClientConnection, connect

from support.raw import Frame, WebSocketPeer, in_time

WITHIN = 10.0
"""Seconds for anything awaited here, unless it is told."""


class Told(NamedTuple):
    """An event that a peer got, and when."""

    at: float
    event: str
    data: dict[str, Any]


class Peer(WebSocketPeer):
    """A raw peer that can be asked at any time what it was told so far.

    Attributes:
        url: The server that it is connected to.
        room: The room it has joined last.
        told: The events it got, in order.
        entered: How many of them came before the ack of its last join.
    """

    def __init__(self, socket: ClientConnection, url: str) -> None:
        super().__init__(socket)
        self.url = url
        self.room = ""
        self.told: list[Told] = []
        self.entered = 0
        self._grown = asyncio.Event()
        self._calls = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Any]] = {}

    # Out

    async def emit(self, event: str, data: dict[str, Any]) -> None:
        """Send an event that asks for no ack."""
        await self.send(f"42{json.dumps([event, data])}")

    async def begin(self, event: str, data: dict[str, Any]) -> asyncio.Future[Any]:
        """Send an event; the ack's argument comes later."""
        number = next(self._calls)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        await self.send(f"42{number}{json.dumps([event, data])}")
        return answer

    async def call(self, event: str, data: dict[str, Any], within: float = WITHIN) -> Any:
        """Send an event and return its ack's argument."""
        return await self.answer(await self.begin(event, data), event, within)

    async def answer(self, asked: asyncio.Future[Any], what: str, within: float = WITHIN) -> Any:
        """Wait for what `begin` gave."""
        return await in_time(within, asyncio.shield(asked), lambda: f"no ack of {what}; {self.history()}")

    async def enter(self, room: str, within: float = WITHIN, **claims: Any) -> Any:
        """Join a room, or try to; returns the ack."""
        ack = await self.call("join_room", {"room": room, **claims}, within)
        if ack["ok"]:
            self.room = room
        return ack

    async def enter_at_last(self, room: str, within: float = WITHIN) -> Any:
        """Join a room, again for as long as the answer is `unavailable`."""
        deadline = time.monotonic() + within
        while True:
            ack = await self.enter(room, within)
            if ack["ok"] or time.monotonic() > deadline:
                assert ack["ok"], f"not joined within {within} s: {ack}"
                return ack
            assert ack["error"]["code"] == "unavailable", ack
            await asyncio.sleep(0.05)  # what a phone does, too

    async def signal(self, target: Peer | str, value: Any, within: float = WITHIN) -> Any:
        """Send a signal; returns the ack."""
        target_id = target if isinstance(target, str) else target.peer_id
        return await self.call("signal", {"targetId": target_id, "signal": value}, within)

    # In

    def _hear(self, frame: Frame) -> None:
        super()._hear(frame)
        if isinstance(frame, str) and frame.startswith("42["):
            event, data = json.loads(frame[2:])
            self.told.append(Told(time.monotonic(), event, data))
        elif isinstance(frame, str) and frame.startswith("43"):
            number, _, arguments = frame[2:].partition("[")
            ack = json.loads(f"[{arguments}")[0]
            if "room" in ack:
                self.entered = len(self.told)
            if (asked := self._asked.pop(int(number), None)) and not asked.done():
                asked.set_result(ack)
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()

    def all(self, event: str, **having: Any) -> list[dict[str, Any]]:
        """Return the payloads of an event with these values in it."""
        return [
            each.data for each in self.told if each.event == event and having.items() <= each.data.items()
        ]

    def counted(self, event: str, room: str, **having: Any) -> Counter[str]:
        """Count the events about each peer in a room."""
        return Counter(each["peerId"] for each in self.all(event, room=room, **having))

    def roster(self) -> list[str]:
        """Return who is in the room, as the last ``room_status`` said."""
        rosters = self.all("room_status", room=self.room)
        return [member["peerId"] for member in rosters[-1]["members"]] if rosters else []

    async def holds(self, condition: Callable[[], bool], what: str, within: float = WITHIN) -> None:
        """Wait until a condition on what it was told holds."""

        async def hold() -> None:
            while not condition():
                await self._grown.wait()

        await in_time(within, hold(), lambda: f"no {what}; {self.history()}")

    async def hears(self, event: str, within: float = WITHIN, **having: Any) -> dict[str, Any]:
        """Wait for an event with these values in it, which may have come already; returns its payload."""
        await self.holds(lambda: bool(self.all(event, **having)), f"{event} with {having}", within)
        return self.all(event, **having)[0]

    async def sees(self, members: Iterable[str], within: float = WITHIN) -> None:
        """Wait until the last ``room_status`` lists just these."""
        expected = sorted(members)
        await self.holds(lambda: sorted(self.roster()) == expected, f"room_status of {expected}", within)

    def history(self) -> str:
        """Return what it was told, for a test that fails."""
        now = time.monotonic()
        lines = (
            f"{each.at - now:8.2f} s {each.event} {json.dumps(each.data)[:300]}" for each in self.told[-60:]
        )
        return "\n".join([f"{self.peer_id} on {self.url} in {self.room!r} was told:", *lines])


class Crowd:
    """The peers of one test."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self._listening: list[asyncio.Task[None]] = []

    async def connect(self, url: str) -> Peer:
        """Connect a peer to a server and its namespace."""
        address = url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
        socket = await connect(address, compression=None, max_size=None, ping_interval=None, proxy=None)
        peer = Peer(socket, url)
        self.peers.append(peer)
        self._listening.append(asyncio.create_task(peer.listen()))
        told = await peer.connect()
        assert peer.peer_id, f"refused: {told}"
        return peer

    async def join(self, url: str, room: str, **claims: Any) -> Peer:
        """Connect a peer and let it join a room."""
        peer = await self.connect(url)
        ack = await peer.enter(room, **claims)
        assert ack["ok"], ack
        return peer

    async def fill(self, url: str, rooms: Iterable[str], each: int = 1) -> list[Peer]:
        """Let so many peers join each room by way of one server."""
        return list(await asyncio.gather(*(self.join(url, room) for room in rooms for _ in range(each))))

    async def settled(self, *peers: Peer, within: float = WITHIN) -> None:
        """Wait until each of these peers sees just those of them that are in its room."""
        rooms: dict[str, list[str]] = {}
        for peer in peers:
            rooms.setdefault(peer.room, []).append(peer.peer_id)
        await asyncio.gather(*(peer.sees(rooms[peer.room], within) for peer in peers))

    async def close(self) -> None:
        """Drop every connection."""
        for peer in self.peers:
            peer.socket.transport.abort()
        await asyncio.gather(*self._listening)
        await asyncio.gather(*(peer.socket.wait_closed() for peer in self.peers))


@asynccontextmanager
async def crowd() -> AsyncIterator[Crowd]:
    """Keep peers until the test leaves this."""
    peers = Crowd()
    try:
        yield peers
    finally:
        await peers.close()
