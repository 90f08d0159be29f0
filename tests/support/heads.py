"""HTTP by hand: requests of any size and shape, sent in any pieces, and a server's answers to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

POLLING = "/socket.io/?EIO=4&transport=polling"
WEBSOCKET = "/socket.io/?EIO=4&transport=websocket"

UPGRADE = (
    "Upgrade: websocket", "Connection: Upgrade",
    "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)  # fmt: skip


def head(target: str, *lines: str, method: str = "GET", size: int = 0) -> bytes:
    """Write a head, filled up to `size` bytes by one more header."""
    text = "\r\n".join((f"{method} {target} HTTP/1.1", "Host: a", *lines, ""))
    if size:
        text += f"X-Long: {'x' * (size - len(text) - 12)}\r\n"
    return f"{text}\r\n".encode()


class Caller:
    """A connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes) -> None:
        """Send the pieces one by one, until the server has closed."""
        with suppress(ConnectionError):
            for piece in pieces:
                self.writer.write(piece)
                await self.writer.drain()

    async def answer(self, within: float = 5.0) -> tuple[int, bytes]:
        """Return the next answer's status and body; the status is 0 if the server closes without an answer."""
        try:
            return await asyncio.wait_for(self._answer(), within)
        except asyncio.TimeoutError:
            raise AssertionError(f"no answer within {within} s") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0, b""

    async def _answer(self) -> tuple[int, bytes]:
        start = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        size = start.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
        return int(start[9:12]), await self.reader.readexactly(int(size or 0))

    async def rest(self, within: float = 5.0) -> bytes:
        """Return all that comes until the connection is closed."""
        read = bytearray()

        async def to_the_end() -> None:
            with suppress(ConnectionError):
                while data := await self.reader.read(1 << 16):
                    read.extend(data)

        try:
            await asyncio.wait_for(to_the_end(), within)
        except asyncio.TimeoutError:
            raise AssertionError(f"not closed within {within} s; came: {bytes(read[:500])!r}") from None
        return bytes(read)


@asynccontextmanager
async def caller(url: str) -> AsyncIterator[Caller]:
    """Connect to a server."""
    address = urlsplit(url)
    made = Caller(*await asyncio.open_connection(address.hostname, address.port))
    try:
        yield made
    finally:
        made.writer.transport.abort()
