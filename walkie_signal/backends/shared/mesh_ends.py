"""The two ends of a connection between nodes of one machine: one sends messages, and the other one hears them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from walkie_signal.backends.shared.lifetime import Lifetime
from walkie_signal.forks import keep_from_forks
from walkie_signal.unix_sockets import fileno_of, is_ours

LENGTH = 4
"""Bytes of the length of a message."""

MOST_BYTES = 4 * 1024 * 1024
"""The most that a message may have; a signal has less than `max_http_buffer_size`."""

MOST_UNSENT = 8 * 1024 * 1024
"""Bytes that may wait for a node that does not read; what comes then is answered as if it could not be reached."""

ROOM = MOST_UNSENT - MOST_BYTES
"""Bytes of which one more message makes no more than `MOST_UNSENT`: what can wait does so when more is unsent, and
leaves room for what can't."""

Hear = Callable[[bytes], None]
"""Takes a message."""


class Outgoing(asyncio.Protocol):
    """The end of a connection that sends.

    Args:
        set_room: Called with whether less than `ROOM` is unsent, when that has changed.
        lost: Called when the connection has ended.
    """

    def __init__(self, set_room: Callable[[bool], None], lost: Callable[[], None]) -> None:
        self._set_room = set_room
        self._lost = lost
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, if our own user listens there."""
        self._transport = transport
        keep_from_forks(self)
        self._transport.set_write_buffer_limits(high=ROOM)
        if not is_ours(transport.get_extra_info("socket")):
            self._transport.abort()

    def fileno(self) -> int:
        """Return the number of the socket."""
        return fileno_of(self._transport)

    def send(self, message: str) -> bool:
        """Send a message; returns false if the node is gone, or does not read."""
        if self._transport.is_closing() or self._transport.get_write_buffer_size() > MOST_UNSENT:
            return False
        data = message.encode()
        self._transport.write(len(data).to_bytes(LENGTH, "big") + data)
        return True

    def pause_writing(self) -> None:
        """Say that there is no room."""
        self._set_room(False)  # noqa: FBT003 - the two calls say what it is

    def resume_writing(self) -> None:
        """Say that there is room again."""
        self._set_room(True)  # noqa: FBT003

    def close(self) -> None:
        """End the connection, after what was sent."""
        self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - as the base class
        """Say that the connection has ended."""
        self._lost()


class Incoming(asyncio.Protocol):
    """The end of a connection that hears."""

    def __init__(self, lifetime: Lifetime, hear: Hear, ends: set[Incoming]) -> None:
        self._lifetime = lifetime
        self._hear = hear
        self._ends = ends
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._data = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, if our own user speaks there."""
        self._transport = transport
        keep_from_forks(self)
        self._ends.add(self)
        if not is_ours(transport.get_extra_info("socket")):
            self.abort()

    def fileno(self) -> int:
        """Return the number of the socket."""
        return fileno_of(self._transport)

    def data_received(self, data: bytes) -> None:
        """Take messages."""
        if self._loop.time() > self._lifetime.until:
            self._lifetime.tick()
        if self._transport.is_closing():  # this node has become another one, which is not meant
            return
        if not self._data and int.from_bytes(data[:LENGTH], "big") == len(data) - LENGTH:
            self._hear(data[LENGTH:])  # one whole message, as most are
            return
        self._data += data
        begin, have = 0, len(self._data)
        while not self._transport.is_closing() and (start := begin + LENGTH) <= have:
            end = start + int.from_bytes(self._data[begin:start], "big")
            if end - start > MOST_BYTES:
                self.abort()
            if end > have:
                break
            begin = end
            self._hear(bytes(self._data[start:end]))
        del self._data[:begin]

    def abort(self) -> None:
        """End the connection at once."""
        self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - as the base class
        """Take no part in what is cut."""
        self._ends.discard(self)
