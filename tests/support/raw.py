"""A raw connection of Engine.IO: it sends, by polling or a WebSocket, exactly what a test says, right or wrong.

A frame is an Engine.IO packet as it is on the wire: text that begins with the digit of its type, or bytes. Nothing
is read, and no ping answered, before a test asks for it. Whole requests, of any query, body and headers, are
httpx's; what is less than a whole request or frame is written on a `support.wire.Wire`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

from support.frames import BINARY, CLOSE, PING, PONG, TEXT, close, frame
from support.waiting import WITHIN, in_time
from support.wire import Wire
from support.wire import websocket as asked_for

Frame = str | bytes
Transport = Literal["websocket", "polling"]

SEPARATOR = "\x1e"
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For plain HTTP: without it, httpx would read the system's certificates for each client, which takes a while."""

NO_CODE, CUT = 1005, 1006
"""What RFC 6455 calls the end of a WebSocket with a CLOSE that has no code, and with no CLOSE."""


class EndedError(Exception):
    """The server has ended a session; `code` is a WebSocket's close code, or the HTTP status of a poll."""

    def __init__(self, code: int) -> None:
        super().__init__(f"ended with {code}")
        self.code = code


class RefusedError(Exception):
    """The server has refused a WebSocket, with this HTTP status; 0 if it closed without an answer."""

    def __init__(self, status: int) -> None:
        super().__init__(f"refused with {status}")
        self.status = status


class Session(ABC):
    """What a WebSocket and a session that polls have in common: packets, in order.

    Attributes:
        seen: Those that came, in order, pings among them.
    """

    def __init__(self) -> None:
        self.seen: list[Frame] = []

    @abstractmethod
    async def send(self, *frames: Frame) -> None:
        """Send frames (by polling in one POST); if the session has ended, do nothing."""

    @abstractmethod
    async def read(self) -> Frame:
        """Return the next packet, however long it takes; `EndedError` is raised if there is none any more."""

    @abstractmethod
    async def closed(self, within: float = WITHIN, *, ponging: bool = True) -> int:
        """Wait for the server to close; returns the code, or the status that the last POST was answered with.

        Pings are answered, so that no timeout does it.
        """

    @abstractmethod
    def abort(self) -> None:
        """Disappear without a close, like a phone in a lift."""

    async def receive(self, within: float = WITHIN) -> Frame:
        """Return the next packet."""
        try:
            return await in_time(self.read(), lambda: f"no frame after {self.seen}", within)
        except EndedError as ended:
            raise AssertionError(f"{ended} after {self.seen}") from None

    async def message(self, within: float = WITHIN) -> Frame:
        """Return the next packet that is no ping; pings are answered."""
        while (packet := await self.receive(within)) == "2":
            await self.send("3")
        return packet


class RawSocket(Session):
    """A WebSocket."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self.wire = wire

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server has confirmed."""
        return dict(self.wire.headers).get("sec-websocket-protocol")

    async def send(self, *frames: Frame) -> None:
        for each in frames:
            await self.wire.send(frame(TEXT if isinstance(each, str) else BINARY, each))

    async def read(self) -> Frame:
        try:
            while True:
                opcode, payload = await self.wire.frame()
                if opcode == CLOSE:
                    code = int.from_bytes(payload[:2], "big") if payload else NO_CODE
                    await self.wire.send(frame(CLOSE, payload))
                    await self.wire.rest()
                    raise EndedError(code)
                if opcode == PING:
                    await self.wire.send(frame(PONG, payload))
                elif opcode in (TEXT, BINARY):
                    self.seen.append(packet := payload.decode() if opcode == TEXT else payload)
                    return packet
        except EOFError:
            raise EndedError(CUT) from None

    async def closed(self, within: float = WITHIN, *, ponging: bool = True) -> int:
        async def to_the_end() -> None:
            while True:
                if await self.read() == "2" and ponging:
                    await self.send("3")

        try:
            await in_time(to_the_end(), lambda: f"not closed; received {self.seen}", within)
        except EndedError as ended:
            return ended.code
        raise AssertionError("it never returns")

    async def close(self) -> None:
        """Close as good clients do, and wait a second for the answer."""
        await self.wire.send(close(1000))
        with suppress(AssertionError):
            await self.wire.rest(within=1)

    def abort(self) -> None:
        self.wire.close()


class RawPolling(Session):
    """A session that polls.

    Attributes:
        sid: Its id.
        posted: The status of the answer to the last POST; 0 if the server closed instead.
    """

    def __init__(self, raw: Raw, sid: str) -> None:
        super().__init__()
        self.sid = sid
        self.posted = 200
        self._raw = raw
        self._unread: list[str] = []
        self._sending = asyncio.Lock()
        self._aborted = False

    async def send(self, *frames: Frame) -> None:
        packets = ["b" + base64.b64encode(f).decode() if isinstance(f, bytes) else f for f in frames]
        await self.post(SEPARATOR.join(packets).encode())

    async def post(self, body: bytes) -> None:
        """POST any bytes."""
        async with self._sending:  # two POSTs at once would be another violation
            try:
                self.posted = (await self._raw.post(self.sid, body, within=30)).status_code
            except httpx.TransportError:
                self.posted = 0

    async def beside(self, body: str) -> None:
        """POST without waiting for a POST under way, as no client does."""
        await self._raw.post(self.sid, body, within=30)

    async def read(self) -> Frame:
        if not self._unread:
            if self._aborted or self.seen[-1:] == ["1"]:
                raise EndedError(0 if self._aborted else 200)
            try:
                answer = await self._raw.get(self.sid, within=30)
            except httpx.TransportError:
                raise EndedError(0) from None
            if answer.status_code != 200:
                raise EndedError(answer.status_code)
            self._unread = answer.text.split(SEPARATOR)
        packet = self._unread.pop(0)
        self.seen.append(heard := base64.b64decode(packet[1:]) if packet[:1] == "b" else packet)
        return heard

    async def closed(self, within: float = WITHIN, *, ponging: bool = True) -> int:
        posted = self.posted
        await in_time(self._to_the_end(ponging=ponging), lambda: f"not closed; received {self.seen}", within)
        return posted

    async def _to_the_end(self, *, ponging: bool) -> None:
        while (answer := await self._raw.get(self.sid)).status_code == 200:
            packets = answer.text.split(SEPARATOR)
            self.seen += packets
            if ponging and "2" in packets:
                await self._raw.post(self.sid, "3")

    def abort(self) -> None:
        self._aborted = True


class Raw:
    """Requests to one server, at one path."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.url = url
        self.http = http

    def query(self, sid: str | None = None, transport: str = "polling") -> dict[str, str]:
        query = {"EIO": "4", "transport": transport}
        return query if sid is None else {**query, "sid": sid}

    async def get(self, sid: str, within: float = WITHIN) -> httpx.Response:
        return await self.http.get(self.url, params=self.query(sid), timeout=within)

    async def post(self, sid: str, body: str | bytes, within: float = WITHIN) -> httpx.Response:
        return await self.http.post(self.url, params=self.query(sid), content=body, timeout=within)

    # Polling

    async def open(self, **headers: str) -> dict[str, Any]:
        """Open a session that polls; returns its handshake."""
        answer = await self.http.get(self.url, params=self.query(), headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.text.startswith("0"), answer.text
        handshake: dict[str, Any] = json.loads(answer.text[1:])
        return handshake

    async def joined_polling(self) -> str:
        """Open a session that polls, and join the default namespace; returns the session's id."""
        sid: str = (await self.open())["sid"]
        await self.post(sid, "40")
        await self.get(sid)
        return sid

    async def poll_until(self, sid: str, wanted: str, within: float = WITHIN) -> list[str]:
        """Poll until a packet is `wanted`; returns all packets, pings answered."""
        packets: list[str] = []

        async def poll() -> list[str]:
            while wanted not in packets:
                answer = await self.get(sid, within)
                assert answer.status_code == 200, (answer.text, packets)
                new = answer.text.split(SEPARATOR)
                packets.extend(new)
                if "2" in new:
                    await self.post(sid, "3")
            return packets

        return await in_time(poll(), lambda: f"no {wanted!r}; received {packets}", within)

    @asynccontextmanager
    async def polling(self) -> AsyncIterator[RawPolling]:
        """Open a session that polls, its handshake read; it is closed at the end."""
        session = RawPolling(self, (await self.open())["sid"])
        yield session
        await session.send("1")

    # WebSocket

    @asynccontextmanager
    async def websocket(
        self,
        query: str = "EIO=4&transport=websocket",
        lines: Sequence[str] = (),
        *,
        subprotocols: Sequence[str] | None = None,
        within: float = WITHIN,
    ) -> AsyncIterator[RawSocket]:
        """Connect a WebSocket with that query, or the one of a new session; its handshake is not read yet.

        Raises:
            RefusedError: The server does not answer 101.
        """
        url = urlsplit(self.url)
        lines = (*lines, *([f"Sec-WebSocket-Protocol: {', '.join(subprotocols)}"] if subprotocols else []))
        address = (url.hostname or "", url.port or 80)
        async with asked_for(address, f"{url.path}?{query}", lines, within=within) as wire:
            if wire.status != 101:
                raise RefusedError(wire.status)
            yield (socket := RawSocket(wire))
            await socket.close()

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


@asynccontextmanager
async def raw(url: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[Raw]:
    """Make a raw client for the server at `url`, with the path."""
    async with httpx.AsyncClient(headers=headers, trust_env=False, verify=NO_CERTIFICATES) as http:
        yield Raw(url, http)
