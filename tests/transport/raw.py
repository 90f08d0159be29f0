"""A client that sends exactly what a test says, over polling or a WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

WITHIN = 5.0
"""Seconds that anything of these tests may take that has no time of its own."""


class Session:
    """What a WebSocket and a polling session have in common: packets, in order, and what was seen of them."""

    def __init__(self) -> None:
        self.seen: list[str | bytes] = []

    async def send(self, *frames: str | bytes) -> None:
        raise NotImplementedError

    async def receive(self, within: float = WITHIN) -> str | bytes:
        """Return the next packet."""
        raise NotImplementedError

    async def message(self, within: float = WITHIN) -> str | bytes:
        """Return the next packet that is no ping; pings are answered."""
        while (frame := await self.receive(within)) == "2":
            await self.send("3")
        return frame


class RawSocket(Session):
    """A WebSocket whose frames are the test's business."""

    def __init__(self, connection: ClientConnection) -> None:
        super().__init__()
        self._connection = connection

    async def send(self, *frames: str | bytes) -> None:
        for frame in frames:
            await self._connection.send(frame)

    async def receive(self, within: float = WITHIN) -> str | bytes:
        """Return the next frame; fail with all that came before it if none comes."""
        try:
            frame = await asyncio.wait_for(self._connection.recv(), within)
        except asyncio.TimeoutError:
            raise AssertionError(f"no frame within {within} s, after {self.seen}") from None
        except ConnectionClosed as closed:
            raise AssertionError(f"closed ({closed.rcvd}) after {self.seen}") from None
        self.seen.append(frame)
        return frame

    async def closed(self, within: float = WITHIN, *, ponging: bool = True) -> int:
        """Wait for the server to close; returns the code. Pings are answered, so that no timeout does it."""
        try:
            while True:
                frame = await asyncio.wait_for(self._connection.recv(), within)
                self.seen.append(frame)
                if ponging and frame == "2":
                    await self.send("3")
        except asyncio.TimeoutError:
            raise AssertionError(f"not closed within {within} s; received {self.seen}") from None
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else 1006

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server has confirmed."""
        return self._connection.subprotocol

    async def close(self) -> None:
        await self._connection.close()

    def abort(self) -> None:
        """Vanish without a goodbye."""
        self._connection.transport.abort()

    def pause(self) -> None:
        """Read nothing any more."""
        self._connection.transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        self._connection.transport.resume_reading()


class Raw:
    """Requests to one server, at one path."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.url = url
        self.http = http

    def query(self, sid: str | None = None, transport: str = "polling") -> dict[str, str]:
        query = {"EIO": "4", "transport": transport}
        return query if sid is None else {**query, "sid": sid}

    async def open(self, **headers: str) -> dict[str, Any]:
        """Open a polling session; returns its handshake."""
        answer = await self.http.get(self.url, params=self.query(), headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.text.startswith("0"), answer.text
        handshake: dict[str, Any] = json.loads(answer.text[1:])
        return handshake

    async def joined_polling(self) -> str:
        """Open a polling session and join the default namespace; returns the session's id."""
        sid: str = (await self.open())["sid"]
        await self.post(sid, "40")
        await self.get(sid)
        return sid

    async def get(self, sid: str, within: float = WITHIN) -> httpx.Response:
        return await self.http.get(self.url, params=self.query(sid), timeout=within)

    async def post(self, sid: str, body: str | bytes, within: float = WITHIN) -> httpx.Response:
        return await self.http.post(self.url, params=self.query(sid), content=body, timeout=within)

    @asynccontextmanager
    async def websocket(self, query: str | None = None, **options: Any) -> AsyncIterator[RawSocket]:
        """Connect a WebSocket with that query, or the one of a new session; its handshake is not read yet."""
        address = self.url.replace("http", "ws", 1)
        query = "EIO=4&transport=websocket" if query is None else query
        options = {"compression": None, "ping_interval": None, "close_timeout": 1, **options}
        async with connect(f"{address}?{query}", max_size=None, **options) as connection:
            yield RawSocket(connection)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[RawSocket]:
        """Connect a WebSocket session, its handshake read."""
        async with self.websocket() as socket:
            assert str(await socket.receive()).startswith("0"), socket.seen
            yield socket

    @asynccontextmanager
    async def joined(self, packet: str = "40") -> AsyncIterator[RawSocket]:
        """Connect a WebSocket session and join a namespace."""
        async with self.opened() as socket:
            await socket.send(packet)
            answer = str(await socket.message())
            assert answer.startswith("40"), socket.seen
            yield socket

    async def poll_until(self, sid: str, wanted: str, within: float = WITHIN) -> list[str]:
        """Poll until a packet is `wanted`; returns all packets, pings answered."""
        packets: list[str] = []
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while wanted not in packets:
            assert loop.time() < deadline, f"{wanted!r} did not come within {within} s; received {packets}"
            answer = await self.get(sid, within)
            assert answer.status_code == 200, (answer.text, packets)
            new = answer.text.split("\x1e")
            packets += new
            if "2" in new:
                await self.post(sid, "3")
        return packets


@asynccontextmanager
async def raw(url: str) -> AsyncIterator[Raw]:
    """Make a raw client for the server at `url`, with the path."""
    async with httpx.AsyncClient() as http:
        yield Raw(url, http)
