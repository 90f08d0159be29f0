"""Who takes nothing of what it is sent is cut: for either of uvicorn's HTTP protocol classes.

uvicorn closes such a connection, which waits until all is sent, or waits to send more. Either lasts for ever, and
so does what the connection holds.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

LINGER = 10.0
"""Seconds without progress, as for a WebSocket that was closed."""

if TYPE_CHECKING:

    class _Uvicorn(asyncio.Protocol):
        """What is leant on in both of uvicorn's classes, here and in `direct_http`."""

        def timeout_keep_alive_handler(self) -> None: ...
        def on_response_complete(self) -> None: ...
        def handle_websocket_upgrade(self, *event: Any) -> None: ...
        def send_400_response(self, msg: str) -> None: ...
else:
    _Uvicorn = asyncio.Protocol


class Draining(_Uvicorn):
    """Looks after what waits to be sent, in front of one of uvicorn's classes."""

    transport: Any
    loop: asyncio.AbstractEventLoop

    _look_at: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """Look whether the other side takes any of what waits."""
        super().pause_writing()
        self._look_later()

    def resume_writing(self) -> None:
        """Look no more; what is left behind a close is looked after."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._look_no_more()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that sends nothing between two requests."""
        super().timeout_keep_alive_handler()
        self.end()

    def end(self) -> None:
        """Close behind what waits, for as long as the other side takes some of it."""
        self.transport.close()
        if self._look_at is None and self.transport.get_write_buffer_size():
            self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that the transport is gone."""
        super().connection_lost(exc)
        self._look_no_more()

    def _look_later(self) -> None:
        self._look_at = self.loop.call_later(LINGER, self._look, self.transport.get_write_buffer_size())

    def _look(self, left_before: int) -> None:
        if self.transport.get_write_buffer_size() < left_before:
            self._look_later()
        else:
            self.transport.abort()

    def _look_no_more(self) -> None:
        if self._look_at is not None:
            self._look_at.cancel()
            self._look_at = None
