"""What is above an Engine.IO server that is used by itself: the host's handler for messages."""

from __future__ import annotations

from typing import Protocol

from walkie_signal.transport.engineio.connection import Connection
from walkie_signal.wire.frames import Frame


class Listener(Protocol):
    """An Engine.IO server with a handler of the host's."""

    def call_message_handler(self, connection: Connection, message: Frame) -> None:
        """Call the host's handler for messages, if there is one."""


class Alone:
    """The `Above` of an Engine.IO server that is used by itself."""

    def __init__(self, engine: Listener) -> None:
        self._engine = engine

    def receive_message(self, connection: Connection, message: Frame) -> None:
        """Give a message to the host."""
        self._engine.call_message_handler(connection, message)

    def bid_farewell(self, connection: Connection) -> None:
        """Do nothing: there is no message that a client would understand."""

    def idle_since(self, connection: Connection) -> float | None:  # noqa: ARG002 - there is nothing to join
        """Return ``None``."""
        return None
