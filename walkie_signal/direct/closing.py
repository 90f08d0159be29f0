"""The transport of a WebSocket, which doesn't linger for ever."""

from __future__ import annotations

import asyncio
from typing import Any

CLOSE_TIMEOUT = 10.0
"""Seconds that a client has to answer a CLOSE, and that a closed connection has to take more of what is left."""

HASTE = 1.0
"""The same seconds when the server shuts down."""


class Transport:
    """A transport that doesn't linger for ever, and that copies the pieces that it writes."""

    __slots__ = ("_linger", "_loop", "_patience", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._patience = CLOSE_TIMEOUT
        self._linger: asyncio.TimerHandle | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    # Every connection calls these three; by `__getattr__`, each call would begin with a look-up that fails

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the transport knows by that name."""
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Tell whether it is closing or closed."""
        return self._transport.is_closing()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let another protocol take what is read."""
        self._transport.set_protocol(protocol)

    def write(self, data: bytes) -> None:
        """Write bytes, unless the connection is lost."""
        # asyncio logs a line for each write to a lost connection
        if not self._transport.is_closing():
            self._transport.write(data)

    def writelines(self, pieces: list[bytes]) -> None:
        """Write pieces as one, which copies them."""
        self.write(b"".join(pieces))

    def close(self) -> None:
        """Close after what waits, or when the client has taken nothing of it for a while."""
        self._transport.close()
        if self._linger is None:
            self._wait(self._transport.get_write_buffer_size())

    def _wait(self, left: int) -> None:
        self._linger = self._loop.call_later(self._patience, self._look, left)

    def _look(self, left_before: int) -> None:
        left = self._transport.get_write_buffer_size()
        if left < left_before:
            self._wait(left)
        else:
            self._transport.abort()

    def hurry(self) -> None:
        """Give the client less time to take what waits."""
        self._patience = HASTE
        if self._linger is not None:
            self._linger.cancel()
            self._wait(0)

    def gone(self) -> None:
        """Record that the connection has ended."""
        if self._linger is not None:
            self._linger.cancel()
