"""One connection to a server, its bytes the test's business: HTTP and WebSocket by hand, right or wrong.

It is a bare socket, for what came before a reset is to be read too, and a failed write is to tell nothing: a
transport of asyncio's drops the one because of the other. It also reads nothing that nobody asked for.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from support.frames import CLOSE, CONT, PING, PONG, TEXT
from support.heads import UPGRADE, head, host_of
from support.waiting import WITHIN, in_time

NAMES = {CONT: "cont", TEXT: "text", 2: "binary", CLOSE: "close", PING: "ping", PONG: "pong"}
GONE = ("gone",)
"""The end of a transcript: the server has closed the transport."""

Address = tuple[str, int] | str
"""Of TCP; or a URL, or the path of a Unix socket."""


class Message(NamedTuple):
    """A frame of a WebSocket that came."""

    opcode: int
    payload: bytes


class Wire:
    """A connection.

    Attributes:
        status: The status of the last answer; 0 if the server closed without one.
        headers: Its headers, by their names in lower case; the one that tells the time is left out.
        body: Its body.
        heard: All frames that `hear` returned, in order.
        awaits: What is waited for, or was last, for whoever loses patience.
        cut: Whether a write has met a connection that is closed.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.body = b""
        self.heard: list[tuple[Any, ...]] = []
        self.awaits = ""
        self.cut = False
        self._read = bytearray()
        self._sending = asyncio.Lock()
        self._waiting: set[asyncio.Future[None]] = set()
        self._unpacker: Any = None

    @classmethod
    async def to(cls, address: Address, *, receive_buffer: int | None = None) -> Wire:
        """Connect; `receive_buffer` is what the kernel may keep of what is not read."""
        if isinstance(address, str) and "://" in address:
            url = urlsplit(address)
            address = (url.hostname or "", url.port or 80)
        sock = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        sock.setblocking(False)  # noqa: FBT003 - the standard library's
        try:
            if receive_buffer is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            await asyncio.get_running_loop().sock_connect(sock, address)
            if not isinstance(address, str):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    # Bytes

    async def send(self, *pieces: bytes, chop: int | None = None) -> None:
        """Write these bytes, in one go or in pieces of that size, until the server has closed."""
        data = memoryview(b"".join(pieces))
        size = chop or max(1, len(data))
        loop = asyncio.get_running_loop()
        async with self._sending:
            try:
                for start in range(0, len(data), size):
                    left = data[start : start + size]
                    while left:
                        try:
                            left = left[self.sock.send(left) :]
                        except BlockingIOError:  # noqa: PERF203 - the way to find out
                            await self._until(loop.add_writer, loop.remove_writer)
            except OSError:
                self.cut = True

    async def _more(self) -> None:
        """Read once more; `EOFError` is raised where nothing comes any more."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                data = self.sock.recv(1 << 18)
            except BlockingIOError:  # noqa: PERF203 - the way to find out
                await self._until(loop.add_reader, loop.remove_reader)
            except OSError:
                raise EOFError from None
            else:
                break
        if not data:
            raise EOFError
        self._read += data

    async def _until(self, add: Callable[..., Any], remove: Callable[[Any], Any]) -> None:
        """Wait until the socket is ready, or closed; who is cancelled meanwhile has lost no bytes."""
        ready = asyncio.get_running_loop().create_future()
        self._waiting.add(ready)
        add(self.sock, _wake, ready)
        try:
            await ready
        finally:
            self._waiting.discard(ready)
            if self.sock.fileno() >= 0:
                remove(self.sock)

    async def _ahead(self, size: int) -> bytearray:
        """Return all that was read, at least so many bytes; they stay there."""
        while len(self._read) < size:
            await self._more()
        return self._read

    async def exactly(self, size: int) -> bytes:
        """Return the next bytes, so many of them."""
        data = bytes((await self._ahead(size))[:size])
        del self._read[:size]
        return data

    async def some(self) -> bytes:
        """Return what comes next, however much it is; nothing at the end."""
        with suppress(EOFError):
            if not self._read:
                await self._more()
        return await self.exactly(len(self._read))

    async def rest(self, within: float = WITHIN) -> bytes:
        """Return all that comes until the connection is closed."""
        self.awaits = "the end of the connection"
        with suppress(EOFError):
            await in_time(
                self._to_the_end(), lambda: f"not closed; came: {bytes(self._read[:500])!r}", within
            )
        return await self.exactly(len(self._read))

    async def _to_the_end(self) -> None:
        while True:
            await self._more()

    # HTTP

    async def request(
        self, method: str, target: str, body: bytes = b"", lines: Sequence[str] = ()
    ) -> tuple[int, bytes]:
        """Send a request; returns its answer's status and body."""
        length = (f"Content-Length: {len(body)}",) if method == "POST" else ()
        await self.send(head(target, *lines, *length, method=method) + body)
        self.awaits = f"an answer to {method} {target} {body!r}"
        await self._answer()
        return self.status, self.body

    async def answer(self, within: float = WITHIN) -> tuple[int, bytes]:
        """Return the next answer's status and body; the status is 0 if the server closes without an answer."""
        try:
            await in_time(self._answer(), lambda: f"no answer; came: {bytes(self._read[:500])!r}", within)
        except EOFError:
            self.status, self.body = 0, b""
        return self.status, self.body

    async def _answer(self) -> None:
        await self.answer_head()
        size = next((value for name, value in self.headers if name == "content-length"), "0")
        self.body = b"" if self.status == 101 else await self.exactly(int(size))

    async def answer_head(self) -> None:
        """Read an answer up to its body."""
        while b"\r\n\r\n" not in self._read:
            await self._more()
        start, _, self._read = self._read.partition(b"\r\n\r\n")
        first, *lines = start.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        pairs = (line.partition(":") for line in lines)
        self.headers = [(name.lower(), value.strip()) for name, _, value in pairs if name.lower() != "date"]
        if any(
            "permessage-deflate" in value
            for name, value in self.headers
            if name == "sec-websocket-extensions"
        ):
            self._unpacker = zlib.decompressobj(-zlib.MAX_WBITS)

    # WebSocket

    async def frame(self) -> Message:
        """Return the next frame; `EOFError` is raised where there is none any more."""
        first, size = (await self._ahead(2))[:2]
        start = 2
        assert not size & 0x80, "a server masks nothing"
        assert first & (0xB0 if self._unpacker else 0xF0) == 0x80, (
            "one frame for each message, no reserved bits"
        )
        if size > 125:
            start = 4 if size == 126 else 10
            size = int.from_bytes((await self._ahead(start))[2:start], "big")
        payload = bytes((await self._ahead(start + size))[start : start + size])
        del self._read[: start + size]
        if first & 0x40:
            payload = self._unpacker.decompress(payload + b"\0\0\xff\xff")
        return Message(first & 15, payload)

    async def hear(self, within: float = WITHIN) -> tuple[Any, ...]:
        """Return the next frame as a transcript has it: its name, and what it says."""
        event = await in_time(self._event(), lambda: f"nothing; before: {str(self.heard)[-500:]}", within)
        self.heard.append(event)
        return event

    async def hear_all(self, within: float = WITHIN) -> list[tuple[Any, ...]]:
        """Return all that comes until the server closes the transport."""
        heard = [await self.hear(within)]
        while heard[-1] != GONE:
            heard.append(await self.hear(within))
        return heard

    async def _event(self) -> tuple[Any, ...]:
        try:
            opcode, payload = await self.frame()
        except EOFError:
            return GONE
        if opcode == CLOSE:
            return ("close", int.from_bytes(payload[:2], "big") if payload else None, payload[2:].decode())
        return (NAMES[opcode], payload.decode() if opcode == TEXT else payload)

    # The end

    @property
    def ended(self) -> bool:
        """Whether nothing is left to read, and the server has closed."""
        try:
            return not self._read and self.sock.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def end(self) -> None:
        """Send nothing more (FIN), but go on reading."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Go without a word of WebSocket's or Engine.IO's."""
        for ready in self._waiting:
            _wake(ready)
        if self.sock.fileno() >= 0:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self.sock)
            loop.remove_writer(self.sock)
            self.sock.close()

    def reset(self) -> None:
        """Go at once, as seen by TCP (RST)."""
        with suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


@asynccontextmanager
async def wire(address: Address) -> AsyncIterator[Wire]:
    """Connect to a server."""
    made = await Wire.to(address)
    try:
        yield made
    finally:
        made.close()


async def listens(port: int) -> bool:
    """Tell whether a port of loopback takes connections now."""
    with suppress(OSError):
        async with wire(("127.0.0.1", port)):
            return True
    return False


@asynccontextmanager
async def websocket(
    address: Address,
    target: str,
    lines: Sequence[str] = (),
    *,
    early: bytes = b"",
    receive_buffer: int | None = None,
    within: float = WITHIN,
) -> AsyncIterator[Wire]:
    """Ask for a WebSocket, and read the head of the answer, which may refuse it; `early` is sent before that."""
    made = await Wire.to(address, receive_buffer=receive_buffer)
    try:
        await made.send(head(target, *UPGRADE, *lines, host=host_of(address)))
        if early:
            await asyncio.sleep(0.05)  # a segment of its own: behind the request in one, uvicorn drops it
            await made.send(early)
        with suppress(EOFError):
            await in_time(made.answer_head(), lambda: "no answer", within)
        yield made
    finally:
        made.reset()
