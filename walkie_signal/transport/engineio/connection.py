"""One Engine.IO session, independent of what carries its frames.

Theory of operation. A connection has one *carrier* at a time, `Polling` or `WebSocket`; an upgrade replaces the
first by the second. A frame that comes in is acted upon at once, in the turn of the event loop that brought it. If
many frames come at once and a `SLICE` is used up, the carrier keeps the rest for the next turns. A frame that goes
out is pushed to the carrier, which writes it or lets it wait in the outbox. `close` is synchronous and final: after
it, nothing is taken, and only what was waiting is sent. Disconnect handlers run in a task of their own, so a `send`
never runs somebody else's code.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol

from walkie_signal.bounded_log import BoundedLog
from walkie_signal.core.ports import TextHandler
from walkie_signal.errors import ProtocolViolation
from walkie_signal.transport.engineio.outbox import Bounds, Outbox
from walkie_signal.turns import Turns
from walkie_signal.wire.frames import CLOSE, MESSAGE, NOOP, PONG, Frame

log = logging.getLogger("walkie_signal.transport")

OVERFLOW_GRACE = 0.5
"""Seconds that an outbox may be over its bounds: less is a burst, such as a join in a room of a thousand."""

OVERFLOW = "overflow"
"""The reason for closing a connection that does not read what it is sent; python-engineio has no such reason."""


class Carrier(Protocol):
    """Moves the frames of a connection."""

    name: str

    def push(self, frame: Frame) -> None:
        """Send a frame, or put it into the outbox until it can be sent."""

    def end(self, code: int, farewell: str) -> None:
        """Write what waits, and end: a WebSocket with `code`, a poll with the packet `farewell`."""

    @property
    def waiting(self) -> bool:
        """Whether something is still to be written."""


class Owner(Protocol):
    """The Engine.IO server of a connection, as the connection sees it."""

    bounds: Bounds
    lines: BoundedLog
    reason: Any
    max_http_buffer_size: int
    turns: Turns
    """The turns that connections wait for if they have sent more at once than one turn allows."""
    take: Callable[[Connection, Frame], None]
    """Takes a message that arrived."""

    def alive(self, connection: Connection) -> None:
        """Record that the client has answered a ping."""

    def watch(self, connection: Connection) -> None:
        """Watch a connection on which something begins to wait."""

    def part(self, connection: Connection) -> None:
        """Tell the peer of a connection whose carrier is about to end, and close the connection."""

    def ended(self, connection: Connection) -> None:
        """Record that a connection has closed."""


class Connecting:
    """The carrier of a connection that is not accepted yet: everything that is sent waits."""

    name = "none"
    waiting = False

    def __init__(self, connection: Connection) -> None:
        self.push = connection.outbox.put

    def end(self, code: int, farewell: str) -> None:
        """Do nothing: the code that accepts the connection sees that it is closed."""


class Connection:
    """An Engine.IO session.

    Attributes:
        sid: Its id. Anybody who knows it can speak for the client, so it is never logged.
        address: The client's address, for the log.
        session: The host's data about it, for python-engineio's `session`.
        app: The data of the protocol above.
        inline: If there is one, it gets each text message first; it returns whether it has taken it.
        ping_at: When the next ping is due, on the loop's clock.
        pinged: Whether a ping waits for its pong.
        expires: When the connection counts as dead if that pong has not come.
        reason: Why it closed; ``None`` while it is open.
    """

    __slots__ = (
        "_loop", "_over", "address", "app", "carrier", "ending", "expires", "inline", "outbox", "owner", "ping_at",
        "pinged", "probe", "push", "reason", "session", "sid",
    )  # fmt: skip

    def __init__(self, owner: Owner, sid: str, address: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.TimerHandle | None = None
        self.owner = owner
        self.sid = sid
        self.address = address
        self.session: dict[str, Any] = {}
        self.app: Any = None
        self.inline: TextHandler | None = None
        self.outbox = Outbox(owner.bounds, self._loop.time)
        self.ping_at = self.expires = 0.0
        self.pinged = False
        self.probe: asyncio.Task[bool] | None = None
        self.ending: asyncio.Future[None] | None = None
        self.reason: str | None = None
        self.carry(Connecting(self))

    def carry(self, carrier: Carrier) -> None:
        """Give the connection another carrier."""
        self.carrier = carrier
        self.push: Callable[[Frame], None] = carrier.push

    @property
    def closed(self) -> bool:
        """Whether the connection is closed."""
        return self.reason is not None

    @property
    def upgraded(self) -> bool:
        """Whether a WebSocket carries it (python-engineio's name for this)."""
        return self.carrier.name == "websocket"

    # Out

    def send(self, frame: Frame) -> None:
        """Send a frame after all that was sent before; if the connection is closed, do nothing."""
        if self.reason is None:
            self.push(frame)

    def send_latest(self, key: str, frame: Frame) -> None:
        """Send a frame, and drop the one that was sent with the same key before if that still waits."""
        if self.reason is None:
            self.outbox.forget(key)
            self.push(frame)
            self.outbox.name_last(key, frame)

    def wait(self, frame: Frame) -> None:
        """Put a frame into the outbox; if too much waits there, close the connection."""
        if not self.outbox:
            self.owner.watch(self)
        self.outbox.put(frame)
        if self.outbox.over:
            if self.outbox.far_over:
                self.overflow()
            elif self._over is None:
                self._over = self._loop.call_later(OVERFLOW_GRACE, self._still_over)

    def _still_over(self) -> None:
        self._over = None
        if self.outbox.over:
            self.overflow()

    def overflow(self) -> None:
        """Close a connection that does not read."""
        if not self.closed:
            line = "connection closed: it does not read what it is sent (%s)"
            self.owner.lines.write(logging.INFO, OVERFLOW, line, self)
            self.outbox.clear()
            self.close(OVERFLOW, code=1008)

    # In

    def receive(self, frame: Frame) -> None:
        """Act on a frame from the client.

        Raises:
            ProtocolViolation: A client may not send such a frame.
        """
        if isinstance(frame, bytes):
            self.owner.take(self, frame)
            return
        kind = frame[:1]
        if kind == MESSAGE:
            if self.inline is None or not self.inline(frame):
                self.owner.take(self, frame[1:])
        elif kind == PONG:
            # A pong without a ping must not count as an answer to a later ping
            if self.pinged:
                self.owner.alive(self)
        elif kind == CLOSE:
            self.close(self.owner.reason.CLIENT_DISCONNECT, farewell=NOOP)
        elif frame != NOOP:  # the Swift client posts it before its upgrade, and Node ignores it
            raise ProtocolViolation("a frame that no client sends here")

    def violate(self, violation: ProtocolViolation, code: int = 1002) -> None:
        """Close a connection that broke the protocol, with one line in the log."""
        if not self.closed:
            kind = f"connection closed: {violation}"
            self.owner.lines.write(logging.WARNING, kind, "connection closed: %s (%s)", violation, self)
            self.outbox.clear()
            self.close(self.owner.reason.TRANSPORT_ERROR, code=code)

    # The end

    def close(self, reason: str, *, code: int = 1000, farewell: str = CLOSE) -> None:
        """Close for good; what waits is still written if the client reads it.

        Args:
            reason: The reason for disconnect handlers.
            code: The code that a WebSocket is closed with.
            farewell: The Engine.IO packet that answers a poll under way.
        """
        if self.reason is not None:
            return
        self.reason = reason
        if self._over is not None:
            self._over.cancel()
        if self.probe is not None:
            self.probe.cancel()
        self.carrier.end(code, farewell)
        self.owner.ended(self)

    def __str__(self) -> str:
        return f"{self.carrier.name}, from {self.address}"
