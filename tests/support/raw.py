"""A raw peer: it speaks Engine.IO and Socket.IO frame by frame, so it can send what no good client would.

A frame is an Engine.IO packet as it is on the wire: text that begins with the digit of its type, or bytes.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Literal

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Data

Frame = str | bytes
Transport = Literal["websocket", "polling"]

SEPARATOR = "\x1e"
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For plain HTTP: without it, httpx would read the system's certificates for each peer, which takes a while."""


async def in_time(within: float, what: Awaitable[Any], otherwise: Callable[[], str]) -> Any:
    """Await `what`; if that takes too long, fail with the text of `otherwise`."""
    try:
        return await asyncio.wait_for(what, within)
    except asyncio.TimeoutError:
        raise AssertionError(f"{otherwise()} within {within} s") from None


class RawPeer(ABC):
    """One Engine.IO session.

    Attributes:
        heard: Every frame that came, in order, including pings.
        handshake: The data of the OPEN packet.
        peer_id: The Socket.IO sid, once `connect` has got one.
        pongs: Whether pings are answered.
    """

    def __init__(self) -> None:
        self.heard: list[Frame] = []
        self.handshake: dict[str, Any] = {}
        self.peer_id = ""
        self.pongs = True
        self._acks = 0
        self._read = 0
        self._arrived = asyncio.Event()
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    # Out

    @abstractmethod
    async def send(self, *frames: Frame) -> None:
        """Send frames (by polling in one POST); if the connection has ended, do nothing."""

    @abstractmethod
    async def abort(self) -> None:
        """Disappear without a close, like a phone in a lift."""

    async def connect(self, auth: Any = None) -> dict[str, Any]:
        """Join the default namespace; returns the server's answer."""
        await self.send("40" if auth is None else f"40{json.dumps(auth)}")
        answer = await self.until(lambda frame: frame[:2] in ("40", "44"))
        told: dict[str, Any] = json.loads(answer[2:])
        self.peer_id = told.get("sid", "")
        return told

    async def ask(self, *event: Any) -> Any:
        """Send an event that asks for an ack; returns the ack's argument."""
        return await self.ask_text(json.dumps(event))

    async def ask_text(self, text: str) -> Any:
        """Do the same as `ask`, but with a text that is, or should be, JSON."""
        self._acks += 1
        await self.send(f"42{self._acks}{text}")
        return await self.acked(self._acks)

    async def acked(self, ack_id: int) -> Any:
        """Wait for an ack; returns its argument."""
        head = f"43{ack_id}["
        frame = await self.until(lambda frame: frame.startswith(head), f"ack {ack_id}")
        (argument,) = json.loads(frame[len(head) - 1 :])
        return argument

    async def join(self, room: str, **claims: Any) -> dict[str, Any]:
        """Join a room, and first the namespace if that was not done yet; returns the ack."""
        if not self.peer_id:
            await self.connect()
        ack: dict[str, Any] = await self.ask("join_room", {"room": room, **claims})
        assert ack["ok"] is True, ack
        return ack

    # In

    async def until(
        self, accepts: Callable[[str], bool], what: str = "such a frame", within: float = 5.0
    ) -> str:
        """Wait for a text frame that `accepts` takes, after the one that was waited for last."""

        async def search() -> str:
            while True:
                while self._read < len(self.heard):
                    frame = self.heard[self._read]
                    self._read += 1
                    if isinstance(frame, str) and accepts(frame):
                        return frame
                assert not self._ended.done(), f"closed before {what}; heard: {self._printed()}"
                self._arrived.clear()
                await self._arrived.wait()

        found: str = await in_time(within, search(), lambda: f"no {what}; heard: {self._printed()}")
        return found

    async def event(self, name: str, within: float = 5.0) -> Any:
        """Wait for an event; returns its first argument."""
        head = f'42["{name}",'
        frame = await self.until(lambda frame: frame.startswith(head), f"event {name}", within)
        return json.loads(frame[2:])[1]

    def events(self) -> list[list[Any]]:
        """Return the events that came so far, each with its name and its arguments."""
        return [
            json.loads(frame[2:]) for frame in self.heard if isinstance(frame, str) and frame[:3] == "42["
        ]

    async def closed(self, within: float = 1.0) -> int:
        """Wait for the server to close; returns a WebSocket's close code, or the HTTP status of a poll."""
        ended = asyncio.shield(self._ended)
        code: int = await in_time(within, ended, lambda: f"not closed; heard: {self._printed()}")
        return code

    @property
    def is_open(self) -> bool:
        return not self._ended.done()

    def _printed(self) -> str:
        return repr([frame if len(frame) < 200 else f"{frame[:200]!r}…" for frame in self.heard])

    def _hear(self, frame: Frame) -> None:
        self.heard.append(frame)
        self._arrived.set()

    def _end(self, code: int) -> None:
        if not self._ended.done():
            self._ended.set_result(code)
        self._arrived.set()


class WebSocketPeer(RawPeer):
    """A peer on a WebSocket."""

    def __init__(self, socket: ClientConnection) -> None:
        super().__init__()
        self.socket = socket

    async def send(self, *frames: Frame) -> None:
        with suppress(ConnectionClosed):
            for frame in frames:
                await self.socket.send(frame)

    async def send_as_text(self, data: bytes) -> None:
        """Send a text frame of any bytes."""
        with suppress(ConnectionClosed):
            await self.socket.send(data, text=True)

    async def abort(self) -> None:
        self.socket.transport.abort()
        await self.closed()

    async def listen(self) -> None:
        """Keep what comes until the connection ends."""
        with suppress(ConnectionClosed):
            while True:
                frame: Data = await self.socket.recv()
                if frame == "2" and self.pongs:
                    await self.send("3")
                self._hear(frame)
        self._end(self.socket.close_code or 0)


class PollingPeer(RawPeer):
    """A peer that polls.

    Attributes:
        posted: The status of the answer to the last POST.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        super().__init__()
        self.http = http
        self.posted = 0
        self._sending = asyncio.Lock()

    async def open(self, query: dict[str, str]) -> None:
        """Begin a session."""
        self.http.params = self.http.params.merge(query)
        answer = await self.http.get("")
        assert answer.status_code == 200, answer.text
        for frame in answer.text.split(SEPARATOR):
            self._hear(frame)
        self.http.params = self.http.params.merge({"sid": json.loads(answer.text[1:])["sid"]})

    async def send(self, *frames: Frame) -> None:
        packets = ["b" + base64.b64encode(f).decode() if isinstance(f, bytes) else f for f in frames]
        await self.post(SEPARATOR.join(packets).encode())

    async def post(self, body: bytes) -> None:
        """POST any bytes."""
        async with self._sending:  # two POSTs at once would be another violation
            with suppress(httpx.TransportError):
                self.posted = (await self.http.post("", content=body)).status_code

    async def abort(self) -> None:
        """Stop polling; its connections are dropped when `raw_peer` is left."""
        self._end(0)

    async def listen(self) -> None:
        """Poll until the session ends."""
        while not self._ended.done():
            try:
                answer = await self.http.get("")
            except httpx.TransportError:
                self._end(0)
                return
            if answer.status_code != 200:
                self._end(answer.status_code)
                return
            for frame in answer.text.split(SEPARATOR):
                if frame == "1":
                    self._end(200)
                if frame == "2" and self.pongs:
                    await self.send("3")
                if frame != "6":
                    self._hear(base64.b64decode(frame[1:]) if frame[:1] == "b" else frame)


@asynccontextmanager
async def raw_peer(
    url: str,
    transport: Transport = "websocket",
    *,
    headers: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
) -> AsyncIterator[Any]:
    """Open a session on a server; at the end it is dropped without a close."""
    query = {"EIO": "4", "transport": transport, **(query or {})}
    async with AsyncExitStack() as stack:
        if transport == "polling":
            http = httpx.AsyncClient(
                base_url=f"{url}/socket.io/",
                params=query,
                headers=headers,
                timeout=30,
                trust_env=False,
                verify=NO_CERTIFICATES,
            )
            peer: Any = PollingPeer(await stack.enter_async_context(http))
            await peer.open({})
        else:
            address = httpx.URL(url.replace("http", "ws", 1) + "/socket.io/", params=query)
            peer = WebSocketPeer(
                await stack.enter_async_context(
                    connect(
                        str(address),
                        additional_headers=headers,
                        compression=None,
                        max_size=None,
                        ping_interval=None,
                        close_timeout=1,
                    )
                )
            )
        listening = asyncio.create_task(peer.listen())
        try:
            peer.handshake = json.loads((await peer.until(lambda f: f[:1] == "0", "OPEN"))[1:])
            yield peer
        finally:
            listening.cancel()
            await asyncio.wait([listening])
