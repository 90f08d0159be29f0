"""The protocol of a connection, as its frames see it."""

from __future__ import annotations

from typing import Any, Protocol

from websockets.frames import Frame


class Owner(Protocol):
    """The protocol of a connection, as its frames see it."""

    client: tuple[str, int] | None
    writable: Any

    def deliver(self, message: str | bytes) -> None:
        """Take a whole message."""

    def handle_pong(self, event: Frame) -> None:
        """Take a PONG."""

    def handle_close(self, event: Frame) -> None:
        """Take a CLOSE, which has been answered."""

    def handle_parser_exception(self) -> None:
        """Record that the connection has failed; `close_sent` says why."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Record that the transport is gone."""

    def pause_writing(self) -> None:
        """Record that the transport's buffer is full."""

    def resume_writing(self) -> None:
        """Record that the transport's buffer has drained."""
