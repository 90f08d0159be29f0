"""One TCP connection to a server, its bytes the test's business: HTTP and WebSocket by hand, and quick."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

FIN, TEXT, BINARY, CLOSE, PING, PONG = 0x80, 1, 2, 8, 9, 10
MASKED = 0x80
NO_MASK = b"\0\0\0\0"
"""A mask that changes nothing, which is as good as another."""

HANDSHAKE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
OPEN = {"websocket": "EIO=4&transport=websocket", "polling": "EIO=4&transport=polling"}

Gone = (asyncio.IncompleteReadError, ConnectionError)
"""What reading raises when the other side has closed."""


class Message(NamedTuple):
    """A WebSocket frame that came."""

    opcode: int
    payload: bytes


def framed(head: int, payload: bytes, mask: bytes = NO_MASK) -> bytes:
    """Write a frame as clients do; `head` is its first byte."""
    size = len(payload)
    if size < 126:
        length = bytes((head, MASKED | size))
    elif size < 1 << 16:
        length = struct.pack("!BBH", head, MASKED | 126, size)
    else:
        length = struct.pack("!BBQ", head, MASKED | 127, size)
    if mask != NO_MASK:
        key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
        payload = (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")
    return length + mask + payload


class Wire:
    """A connection; what it waits for at the moment is kept, for whoever loses patience.

    Attributes:
        awaits: What was waited for last.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.awaits = ""

    @classmethod
    async def to(cls, url: str) -> Wire:
        parts = urlsplit(url)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port))

    # HTTP

    async def request(
        self, method: str, target: str, body: bytes = b"", headers: str = ""
    ) -> tuple[int, bytes]:
        """Send a request; returns its answer's status and body."""
        length = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
        self.writer.write(f"{method} {target} HTTP/1.1\r\nHost: a\r\n{headers}{length}\r\n".encode() + body)
        self.awaits = f"an answer to {method} {target} {body!r}"
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head[9:12])
        if status == 101:
            return status, b""
        size = head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
        return status, await self.reader.readexactly(int(size or 0))

    async def poll(self, sid: str) -> tuple[int, list[bytes]]:
        """Poll; returns the status and the packets."""
        status, body = await self.request("GET", f"/socket.io/?{OPEN['polling']}&sid={sid}")
        return status, body.split(b"\x1e")

    async def post(self, sid: str, body: bytes) -> int:
        """POST packets; returns the status."""
        status, _ = await self.request("POST", f"/socket.io/?{OPEN['polling']}&sid={sid}", body)
        return status

    async def begin_polling(self) -> str:
        """Open a session that polls; returns its sid."""
        status, body = await self.request("GET", f"/socket.io/?{OPEN['polling']}")
        assert status == 200, (status, body)
        sid: str = json.loads(body[1:])["sid"]
        return sid

    # WebSocket

    async def upgrade(self, sid: str = "") -> int:
        """Open a WebSocket, for a new session or for one that polls; returns the status."""
        query = OPEN["websocket"] + (f"&sid={sid}" if sid else "")
        return (await self.request("GET", f"/socket.io/?{query}", headers=HANDSHAKE))[0]

    def send(self, text: str) -> None:
        """Send a text message."""
        self.writer.write(framed(FIN | TEXT, text.encode()))

    async def message(self) -> Message:
        """Return the next frame; one of `Gone` is raised where there is none any more."""
        head, size = await self.reader.readexactly(2)
        if size == 126:
            (size,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
        return Message(head & 15, await self.reader.readexactly(size))

    async def text(self, start: bytes) -> bytes:
        """Return the next text message that begins like this; pings of Engine.IO are answered."""
        self.awaits = f"a message that begins with {start!r}"
        while True:
            opcode, payload = await self.message()
            if opcode == TEXT and payload.startswith(start):
                return payload
            if payload == b"2":
                self.send("3")

    # The end

    def reset(self) -> None:
        """Go at once, as seen by TCP (RST)."""
        self.writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.writer.transport.abort()

    def close(self) -> None:
        """Close without a word of WebSocket's or Engine.IO's (FIN)."""
        self.writer.close()

    async def ended(self) -> None:
        """Wait until the server has closed the connection, too; what still comes is dropped."""
        self.awaits = "the end of the connection"
        with suppress(*Gone):
            while await self.reader.read(1 << 16):
                pass
