"""A WebSocket client of bytes: it sends what it is told to, right or wrong, and tells what came, frame by frame."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
NAMES = {CONT: "cont", TEXT: "text", BINARY: "binary", CLOSE: "close", PING: "ping", PONG: "pong"}
GONE = ("gone",)
"""The end of a transcript: the server has closed the transport."""

MASK = bytes((0x37, 0xFA, 0x21, 0x3D))  # the one of RFC 6455, 5.7


def frame(
    opcode: int, payload: bytes | str = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True
) -> bytes:
    """Return a frame as it stands on the wire."""
    data = payload.encode() if isinstance(payload, str) else payload
    return header(opcode, len(data), fin=fin, rsv=rsv, masked=masked) + (mask(data) if masked else data)


def header(opcode: int, size: int, *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """Return what stands before a payload of that size."""
    first, second = fin << 7 | rsv << 4 | opcode, masked << 7
    key = MASK if masked else b""
    if size < 126:
        return bytes((first, second | size)) + key
    if size < 1 << 16:
        return bytes((first, second | 126)) + size.to_bytes(2, "big") + key
    return bytes((first, second | 127)) + size.to_bytes(8, "big") + key


def mask(data: bytes) -> bytes:
    repeated = (MASK * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")).to_bytes(len(data), "big")


def close(code: int | None = None, reason: bytes | str = b"") -> bytes:
    """Return a CLOSE frame."""
    text = reason.encode() if isinstance(reason, str) else reason
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + text)


def fragments(opcode: int, *payloads: bytes | str) -> bytes:
    """Return a message in as many frames."""
    last = len(payloads) - 1
    return b"".join(
        frame(CONT if index else opcode, payload, fin=index == last) for index, payload in enumerate(payloads)
    )


@dataclass
class Peer:
    """One connection, on a bare socket: what came before a reset is read too, and a failed write tells nothing.

    Attributes:
        status: The status line's number in the answer to the opening handshake.
        headers: That answer's headers, by their names in lower case; the one that tells the time is left out.
        body: What came with a refusal.
        heard: All frames that came, in order.
    """

    sock: socket.socket
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    heard: list[tuple[Any, ...]] = field(default_factory=list)
    _read: bytearray = field(default_factory=bytearray)

    async def send(self, *pieces: bytes, chop: int | None = None) -> None:
        """Write these bytes, in one go or in pieces of that size."""
        data = b"".join(pieces)
        with suppress(ConnectionError):
            for start in range(0, len(data), chop or max(1, len(data))):
                piece = data[start : start + (chop or len(data))]
                await asyncio.get_running_loop().sock_sendall(self.sock, piece)

    async def hear(self, within: float = 5.0) -> tuple[Any, ...]:
        """Return the next frame: its name, and what it says."""
        try:
            event = await asyncio.wait_for(self._frame(), within)
        except asyncio.TimeoutError:
            raise AssertionError(f"nothing within {within} s; before: {str(self.heard)[-500:]}") from None
        self.heard.append(event)
        return event

    async def hear_all(self, within: float = 5.0) -> list[tuple[Any, ...]]:
        """Return all that comes until the server closes the transport."""
        heard = [await self.hear(within)]
        while heard[-1] != GONE:
            heard.append(await self.hear(within))
        return heard

    async def _frame(self) -> tuple[Any, ...]:
        try:
            first, second = await self._exactly(2)
            assert not second & 0x80, "a server masks nothing"
            assert first & 0xF0 == 0x80, "one frame for each message, no reserved bits"
            size = second
            if size > 125:
                size = int.from_bytes(await self._exactly(2 if size == 126 else 8), "big")
            payload = await self._exactly(size)
        except EOFError:
            return GONE
        name = NAMES[first & 15]
        if name == "close":
            return (name, int.from_bytes(payload[:2], "big") if payload else None, payload[2:].decode())
        return (name, payload.decode() if name == "text" else payload)

    async def _exactly(self, size: int) -> bytes:
        while len(self._read) < size:
            await self._more()
        data = bytes(self._read[:size])
        del self._read[:size]
        return data

    async def _more(self) -> None:
        try:
            data = await asyncio.get_running_loop().sock_recv(self.sock, 1 << 18)
        except ConnectionError:
            data = b""
        if not data:
            raise EOFError
        self._read += data

    async def answer(self) -> None:
        """Read the answer to the opening handshake."""
        while b"\r\n\r\n" not in self._read:
            await self._more()
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(status.split()[1])
        pairs = (line.split(": ", 1) for line in lines)
        self.headers = [(name.lower(), value) for name, value in pairs if name.lower() != "date"]
        if self.status != 101:
            with suppress(EOFError):
                while True:
                    await self._more()
            self.body = bytes(self._read)

    def abort(self) -> None:
        """Go without a word, and with a reset."""
        with suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


@asynccontextmanager
async def peer(
    address: tuple[str, int] | str,
    path: str,
    headers: Sequence[str] = (),
    *,
    early: bytes = b"",
    receive_buffer: int | None = None,
) -> AsyncIterator[Peer]:
    """Connect to a TCP address or a Unix socket's path; an `early` one sends that before it has an answer."""
    loop = asyncio.get_running_loop()
    sock = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    connected = Peer(sock)
    try:
        sock.setblocking(False)  # noqa: FBT003 - the standard library's
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await loop.sock_connect(sock, address)
        if not isinstance(address, str):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = [
            f"GET {path} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: keep-alive, Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", *headers, "", "",
        ]  # fmt: skip
        await loop.sock_sendall(sock, "\r\n".join(lines).encode("latin-1"))
        if early:
            await asyncio.sleep(0.05)  # a segment of its own: behind the request in one, uvicorn drops it
            await loop.sock_sendall(sock, early)
        await asyncio.wait_for(connected.answer(), 5)
        yield connected
    finally:
        connected.abort()
