"""ASGI events on a Unix socket: the protocol for handing requests over between two processes.

A frame is its length (u32), the length of its head (u32), the head in JSON, and the event's ``body``, ``bytes`` or
``text`` as it is. Both ends always read, so each notices at once when the other has gone. The writer bounds how
much is on its way: it only writes while less than `WINDOW` is unread, and the reader tells it how much it has
read. So what a slow reader does not take waits where it came from, and not in here.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, MutableMapping
from struct import Struct
from typing import Any, cast

from walkie_signal.transport.engineio.http import GoneError

Event = MutableMapping[str, Any]

WINDOW = 1 << 16
"""Bytes that may be unread, besides one frame more; this is asyncio's own high-water mark for a socket."""

HEAD = 1 << 19
"""Most bytes of a head: `direct.bounds` lets in 64 KiB, and JSON may write six bytes for each."""

CLOSE_TIMEOUT = 5.0
"""Seconds that the other end has to read what was written before a close."""

READ = "read"
"""The type of the frame that says how much has been read."""

BLOBS = ("text", "bytes", "body")
LENGTHS = Struct(">II")


def encode(event: Event) -> bytes:
    """Write an event as a frame."""
    head = {key: value for key, value in event.items() if key not in BLOBS}
    blob: bytes = b""
    for key in BLOBS:
        value = event.get(key)
        if value is not None:
            blob = value.encode("utf-8", "surrogatepass") if key == "text" else value
            head["blob"] = key
    if "headers" in head:
        head["headers"] = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in head["headers"]
        ]
    encoded = json.dumps(head).encode()
    return b"".join((LENGTHS.pack(4 + len(encoded) + len(blob), len(encoded)), encoded, blob))


def decode(head: bytes, blob: bytes) -> Event:
    """Read an event."""
    event: Event = json.loads(head)
    key = event.pop("blob", None)
    if key is not None:
        event[key] = blob.decode("utf-8", "surrogatepass") if key == "text" else blob
    if "headers" in event:
        event["headers"] = [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in event["headers"]
        ]
    return event


class Pipe(asyncio.Protocol):
    """One end of a connection between two processes.

    Args:
        largest: Most bytes of a frame that is taken; ``None`` for any, if the other end's own bounds suffice.
        stall_timeout: Most seconds that an event may wait because the other end does not read; ``None`` for
            no limit.
        made: Called when the pipe is connected.

    Attributes:
        gone: Done once either end has gone.
    """

    def __init__(
        self,
        *,
        largest: int | None = None,
        stall_timeout: float | None = None,
        made: Callable[[Pipe], None] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._largest = largest
        self._stall_timeout = stall_timeout
        self._made = made
        self._buffer = bytearray()
        self._events: deque[tuple[Event, int]] = deque()
        self._arrival: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._unread = 0  # bytes written that the other end has not read
        self._untold = 0  # bytes read that the other end has not been told of
        self._transport: asyncio.Transport | None = None
        self._lingering: asyncio.TimerHandle | None = None
        self.gone: asyncio.Future[None] = self._loop.create_future()

    # Out

    async def send(self, event: Event) -> None:
        """Write an event once the other end has read enough of what was written before.

        If there is room, it does not wait at all, so it may be run without a task.

        Raises:
            GoneError: The other end has gone.
        """
        if self._unread >= WINDOW:
            await self._wait_for_room()
        if self.gone.done():
            raise GoneError
        self.send_now(event)

    def send_now(self, event: Event) -> None:
        """Write a short event at once, however much is unread; if the other end has gone, do nothing."""
        frame = encode(event)
        self._unread += len(frame)
        self._write(frame)

    async def _wait_for_room(self) -> None:
        limit = self._stall_timeout
        timer = self._loop.call_later(limit, self._abort) if limit is not None else None
        try:
            while self._unread >= WINDOW and not self.gone.done():
                self._room = self._loop.create_future()
                await self._room
        finally:
            if timer is not None:
                timer.cancel()

    def _write(self, frame: bytes) -> None:
        if self._transport is not None and self._lingering is None and not self._transport.is_closing():
            self._transport.write(frame)

    def close(self) -> None:
        """Close after what was written; if nobody reads that, it is dropped after `CLOSE_TIMEOUT`.

        Until the other end closes too, only this direction is closed: data that comes to a fully closed socket
        resets it, and the other end would lose what it has not read.
        """
        transport = self._transport
        if transport is not None and not transport.is_closing() and self._lingering is None:
            transport.write_eof()
            self._lingering = self._loop.call_later(CLOSE_TIMEOUT, transport.abort)
        self._lost()

    # In

    async def receive(self) -> Event | None:
        """Return the next event, or ``None`` if the other end has gone and no event is left."""
        while not self._events:
            if self.gone.done():
                return None
            self._arrival = self._loop.create_future()
            await self._arrival
        event, size = self._events.popleft()
        self._untold += size
        if self._untold >= WINDOW // 2:
            self._write(encode({"type": READ, "size": self._untold}))
            self._untold = 0
        return event

    def data_received(self, data: bytes) -> None:
        """Take what the other end has written, unless this end has closed."""
        if self._lingering is not None:
            return
        buffer = self._buffer
        buffer += data
        while len(buffer) >= LENGTHS.size:
            length, head_length = LENGTHS.unpack_from(buffer)
            if head_length > length - 4 or (self._largest is not None and length > self._largest):
                self._abort()
                return
            end = 4 + length
            if len(buffer) < end:
                return
            head_end = LENGTHS.size + head_length
            try:
                event = decode(bytes(buffer[LENGTHS.size : head_end]), bytes(buffer[head_end:end]))
                self._receive_event(event, end)
            except (LookupError, ValueError):
                self._abort()
                return
            del buffer[:end]

    def _receive_event(self, event: Event, size: int) -> None:
        if event["type"] != READ:
            self._events.append((event, size))
            _wake(self._arrival)
            return
        self._unread -= event["size"]
        if self._unread < WINDOW:
            _wake(self._room)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._lost()

    # asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        if self._made is not None:
            self._made(self)

    def eof_received(self) -> None:
        """Record that the other end has gone, even if something is still to be written to it."""
        self._lost()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """Record that the socket has gone."""
        if self._lingering is not None:
            self._lingering.cancel()
        self._lost()

    def _lost(self) -> None:
        _wake(self.gone)
        _wake(self._arrival)
        _wake(self._room)


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
