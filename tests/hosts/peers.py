"""Peers for the tests of hosts and of the command: python-socketio's own client, which keeps what it hears."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import aiohttp
import httpx
import socketio

WITHIN = 15.0
"""Seconds for anything awaited here."""

TRANSPORTS = ("polling", "websocket")


_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Those of the system, which httpx loads for each of its clients, take longer than a test does."""


def web(url: str) -> httpx.AsyncClient:
    """Return what makes plain requests of a server."""
    return httpx.AsyncClient(base_url=url, verify=_NO_CERTIFICATES)


class Whole(aiohttp.ClientResponse):
    """A response with its body, which python-engineio leaves unread: to aiohttp that is a leak."""

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        await super().start(connection)
        if self.status != HTTPStatus.SWITCHING_PROTOCOLS:
            await self.read()
        return self


class Peer:
    """A connection that keeps the events it hears, in the order they came."""

    def __init__(self, connector: aiohttp.BaseConnector | None = None) -> None:
        self._http = aiohttp.ClientSession(connector=connector, response_class=Whole)
        self.sio = socketio.AsyncClient(reconnection=False, handle_sigint=False, http_session=self._http)
        self.heard: list[tuple[str, Any]] = []
        self._grew = asyncio.Event()
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
        self._grew.set()

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

    async def hears(self, event: str, **having: Any) -> Any:
        """Wait for an event with these values in it; returns its payload."""

        def matching() -> list[Any]:
            return [data for heard, data in self.heard if heard == event and _has(data, having)]

        await self.until(lambda: bool(matching()), f"{event} with {having}")
        return matching()[0]

    async def ask(self, event: str, *data: Any) -> Any:
        """Send an event and return its ack."""
        return await self.sio.call(event, data, timeout=WITHIN)

    async def join(self, room: str, **about: Any) -> Any:
        ack = await self.ask("join_room", {"room": room, **about})
        assert ack["ok"] is True, ack
        return ack

    async def signal(self, target: Peer, value: Any) -> Any:
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
    **connecting: Any,
) -> AsyncIterator[list[Peer]]:
    """Connect a peer for each room and let it join; for ``None`` it joins nothing.

    `connecting` goes to ``connect`` of python-socketio's client.
    """
    connected = [Peer(connector and connector()) for _ in rooms]
    try:
        for peer, room in zip(connected, rooms, strict=True):
            await peer.sio.connect(url, socketio_path=path, transports=[transport], **connecting)
            if room is not None:
                await peer.join(room)
        yield connected
    finally:
        await asyncio.gather(*(peer.close() for peer in connected))


async def refusal(
    url: str, *, path: str = "/socket.io", transport: str = "websocket", **connecting: Any
) -> Any:
    """Connect and be refused; returns what the ``connect_error`` says."""
    peer = Peer()
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
