"""A peer on python-socketio's own client, for tests that watch what one hears, and in which order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import socketio

from support.servers import serve

WITHIN = 15.0
"""Seconds for anything awaited here."""


class Whole(aiohttp.ClientResponse):
    """A response with its body, which python-engineio leaves unread: to aiohttp that is a leak."""

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        await super().start(connection)
        if self.status != 101:  # that one becomes a WebSocket
            await self.read()
        return self


class Peer:
    """A client that keeps what it hears, acks among it, in the order it came."""

    def __init__(self) -> None:
        self._http = aiohttp.ClientSession(response_class=Whole)
        self.sio = socketio.AsyncClient(reconnection=False, handle_sigint=False, http_session=self._http)
        self.heard: list[tuple[str, Any]] = []
        self._grew = asyncio.Event()
        # plain functions run in the order of arrival; handlers that await would not
        self.sio.on("*", self._hear)

    @property
    def peer_id(self) -> str:
        sid: str = self.sio.get_sid()
        return sid

    async def close(self) -> None:
        await self.sio.disconnect()
        await self._http.close()

    def _hear(self, name: str, *args: Any) -> None:
        self.heard.append((name, args[0] if len(args) == 1 else args))
        self._grew.set()

    def all(self, name: str) -> list[Any]:
        return [data for heard, data in self.heard if heard == name]

    async def until(self, seen: Callable[[], bool], what: str) -> None:
        """Wait until `seen` is true of what was heard."""

        async def grown() -> None:
            while not seen():
                self._grew.clear()
                await self._grew.wait()

        try:
            await asyncio.wait_for(grown(), WITHIN)
        except asyncio.TimeoutError:
            raise AssertionError(f"no {what} within {WITHIN} s; heard: {self.heard}") from None

    async def hears(self, name: str, **having: Any) -> Any:
        """Wait for an event with these values in it and return its payload."""

        def matching() -> list[Any]:
            return [data for data in self.all(name) if having.items() <= data.items()]

        await self.until(lambda: bool(matching()), f"{name} with {having}")
        return matching()[0]

    async def hears_roster(self, *peer_ids: str) -> Any:
        """Wait for a ``room_status`` with exactly these members and return the last of them."""

        def matching() -> list[Any]:
            rosters = self.all("room_status")
            return [each for each in rosters if [one["peerId"] for one in each["members"]] == [*peer_ids]]

        await self.until(lambda: bool(matching()), f"room_status of {peer_ids}")
        return matching()[-1]

    async def request(self, event: str, data: Any) -> Any:
        """Send an event and return its ack."""
        before = len(self.all("ack"))
        await self.sio.emit(event, data, callback=lambda *args: self._hear("ack", *args))
        await self.until(lambda: len(self.all("ack")) > before, f"ack of {event}")
        return self.all("ack")[-1]

    async def join(self, room: str, **about: Any) -> Any:
        ack = await self.request("join_room", {"room": room, **about})
        assert ack["ok"] is True, ack
        return ack

    async def signal(self, target: Peer, value: Any) -> Any:
        return await self.request("signal", {"targetId": target.peer_id, "signal": value})


@asynccontextmanager
async def peers_of(transports: list[str], *names: str) -> AsyncIterator[list[Peer]]:
    """Start a server and connect a peer for each name; a name is a room to join, ``-`` for none."""
    async with serve() as server:
        peers = [Peer() for _ in names]
        try:
            for peer, room in zip(peers, names, strict=True):
                await peer.sio.connect(server.url, transports=transports)
                if room != "-":
                    await peer.join(room)
            yield peers
        finally:
            for peer in peers:
                await peer.close()
