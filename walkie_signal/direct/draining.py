"""Cuts connections whose client takes nothing of what it is sent, for both of uvicorn's HTTP protocol classes.

uvicorn waits to send more on such a connection, or closes it, which waits until everything is sent. Both may
last for ever, and the connection keeps its memory.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

ANSWER_TIMEOUT = 10.0
"""Seconds without progress after which a connection is cut, as for a closed WebSocket."""

if TYPE_CHECKING:

    class _Uvicorn(asyncio.Protocol):
        """The methods of both of uvicorn's classes that this module, `bounds` and `http` rely on."""

        def timeout_keep_alive_handler(self) -> None: ...
        def on_response_complete(self) -> None: ...
        def handle_websocket_upgrade(self, *event: Any) -> None: ...
        def send_400_response(self, msg: str) -> None: ...
        def _unset_keepalive_if_required(self) -> None: ...
else:
    _Uvicorn = asyncio.Protocol


class Draining(_Uvicorn):
    """Watches what waits to be sent; one of uvicorn's classes is to follow it among the bases."""

    transport: Any
    loop: asyncio.AbstractEventLoop

    _look_at: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """Begin to check whether the client takes any of what waits."""
        super().pause_writing()
        self._look_later()

    def resume_writing(self) -> None:
        """Stop checking, unless the connection is closing: then the rest is still watched."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._look_no_more()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that sends nothing between two requests."""
        super().timeout_keep_alive_handler()
        self.end()

    def end(self) -> None:
        """Close after what waits, as long as the client takes some of it."""
        self.transport.close()
        if self._look_at is None and self.transport.get_write_buffer_size():
            self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """Record that the transport is gone."""
        super().connection_lost(exc)
        self._look_no_more()

    def _look_later(self) -> None:
        self._look_at = self.loop.call_later(
            ANSWER_TIMEOUT, self._look, self.transport.get_write_buffer_size()
        )

    def _look(self, left_before: int) -> None:
        if self.transport.get_write_buffer_size() < left_before:
            self._look_later()
        else:
            self.transport.abort()

    def _look_no_more(self) -> None:
        if self._look_at is not None:
            self._look_at.cancel()
            self._look_at = None
