"""Stock peers: python-socketio's own client, which keeps what it hears.

It is no raw connection, and is not made on one: that our server gets along with a client which others have written,
by its own rules, is what tests with these peers show.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import aiohttp
import httpx
import socketio

from support.raw import NO_CERTIFICATES
from support.waiting import Arrivals, in_time

WITHIN = 15.0
"""Seconds for anything awaited here."""

TRANSPORTS = ("polling", "websocket")


def web(url: str) -> httpx.AsyncClient:
    """Return what makes plain requests of a server."""
    return httpx.AsyncClient(base_url=url, verify=NO_CERTIFICATES)


class Whole(aiohttp.ClientResponse):
    """A response with its body, which python-engineio leaves unread: to aiohttp that is a leak."""

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        await super().start(connection)
        if self.status != HTTPStatus.SWITCHING_PROTOCOLS:
            await self.read()
        return self


class StockPeer:
    """A connection that keeps the events it hears, in the order they came.

    Args:
        connector: What makes its TCP connections.
        keeps_acks: Whether acks are kept among the events, each as one named ``ack``.
    """

    def __init__(self, connector: aiohttp.BaseConnector | None = None, *, keeps_acks: bool = False) -> None:
        self._http = aiohttp.ClientSession(connector=connector, response_class=Whole)
        self.sio = socketio.AsyncClient(reconnection=False, handle_sigint=False, http_session=self._http)
        self.heard: list[tuple[str, Any]] = []
        self._arrivals = Arrivals(lambda: self.heard)
        self._keeps_acks = keeps_acks
        # plain functions run in the order of arrival; handlers that await would not
        self.sio.on("*", self._hear)
        for reserved in ("connect_error", "disconnect"):
            self.sio.on(reserved, lambda *data, event=reserved: self._hear(event, *data))

    async def close(self) -> None:
        await self.sio.disconnect()
        # python-engineio lets these wait for their timeouts when it was the server that closed
        loops = [each for each in (self.sio.eio.write_loop_task, self.sio.eio.read_loop_task) if each]
        for each in loops:
            each.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        await self._http.close()

    @property
    def peer_id(self) -> str:
        sid: str = self.sio.get_sid()
        return sid

    def _hear(self, event: str, *data: Any) -> None:
        self.heard.append((event, data[0] if len(data) == 1 else data))
        self._arrivals.grew()

    def all(self, event: str) -> list[Any]:
        return [data for heard, data in self.heard if heard == event]

    async def until(self, seen: Callable[[], bool], what: str) -> None:
        """Wait until `seen` is true of what was heard."""
        await self._arrivals.until(seen, what, WITHIN)

    async def hears(self, event: str, **having: Any) -> Any:
        """Wait for an event with these values in it; returns its payload."""

        def matching() -> list[Any]:
            return [data for data in self.all(event) if _has(data, having)]

        await self.until(lambda: bool(matching()), f"{event} with {having}")
        return matching()[0]

    async def hears_roster(self, *peer_ids: str) -> Any:
        """Wait for a ``room_status`` with exactly these members and return the last of them."""

        def matching() -> list[Any]:
            rosters = self.all("room_status")
            return [each for each in rosters if [one["peerId"] for one in each["members"]] == [*peer_ids]]

        await self.until(lambda: bool(matching()), f"room_status of {peer_ids}")
        return matching()[-1]

    async def ask(self, event: str, *data: Any) -> Any:
        """Send an event and return its ack."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def acked(*arguments: Any) -> None:
            if self._keeps_acks:
                self._hear("ack", *arguments)
            answer.set_result(arguments[0] if len(arguments) == 1 else arguments)

        await self.sio.emit(event, data, callback=acked)
        return await in_time(answer, lambda: f"no ack of {event}; heard: {self.heard}", WITHIN)

    async def join(self, room: str, **about: Any) -> Any:
        ack = await self.ask("join_room", {"room": room, **about})
        assert ack["ok"] is True, ack
        return ack

    async def signal(self, target: StockPeer, value: Any) -> Any:
        return await self.ask("signal", {"targetId": target.peer_id, "signal": value})


def _has(data: Any, having: dict[str, Any]) -> bool:
    return not having or (isinstance(data, dict) and having.items() <= data.items())


@asynccontextmanager
async def peers(
    url: str,
    *rooms: str | None,
    path: str = "/socket.io",
    transport: str = "websocket",
    connector: Callable[[], aiohttp.BaseConnector] | None = None,
    keeps_acks: bool = False,
    **connecting: Any,
) -> AsyncIterator[list[StockPeer]]:
    """Connect a peer for each room and let it join; for ``None`` it joins nothing.

    `connecting` goes to ``connect`` of python-socketio's client.
    """
    connected = [StockPeer(connector and connector(), keeps_acks=keeps_acks) for _ in rooms]
    try:
        for peer, room in zip(connected, rooms, strict=True):
            await peer.sio.connect(url, socketio_path=path, transports=transport.split(","), **connecting)
            if room is not None:
                await peer.join(room)
        yield connected
    finally:
        await asyncio.gather(*(peer.close() for peer in connected))


async def refusal(
    url: str, *, path: str = "/socket.io", transport: str = "websocket", **connecting: Any
) -> Any:
    """Connect and be refused; returns what the ``connect_error`` says."""
    peer = StockPeer()
    try:
        await peer.sio.connect(url, socketio_path=path, transports=[transport], **connecting)
    except socketio.exceptions.ConnectionError:
        return await peer.hears("connect_error")
    finally:
        await peer.close()
    raise AssertionError(f"it was let in as {peer.sio.get_sid()}")


async def meet(
    url: str, *, path: str = "/socket.io", transport: str = "websocket", **connecting: Any
) -> None:
    """Let two peers join a room, signal to one another, and one hear the other leave."""
    async with peers(url, "gate", "gate", path=path, transport=transport, **connecting) as (stays, goes):
        await stays.hears("new_peer", peerId=goes.peer_id)
        for sender, target in ((stays, goes), (goes, stays)):
            assert await sender.signal(target, {"sdp": sender.peer_id}) == {"ok": True}
            said = await target.hears("signal", fromId=sender.peer_id)
            assert said["signal"] == {"sdp": sender.peer_id}
        leaving = goes.peer_id, asyncio.create_task(goes.close())
        assert (await stays.hears("peer_disconnected"))["peerId"] == leaving[0]
        await asyncio.gather(leaving[1], stays.close())
