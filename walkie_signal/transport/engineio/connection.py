"""One Engine.IO session, independent of what carries its frames.

Theory of operation. A connection has one *carrier* at a time, `Polling` or `WebSocket`; an upgrade replaces the
first by the second. A frame that comes in is acted upon at once, in the turn of the event loop that brought it. If
many frames come at once and a `SLICE` is used up, the carrier keeps the rest for the next turns. A frame that goes
out is pushed to the carrier, which writes it or lets it wait in the outbox. `close` is synchronous and final: after
it, nothing is taken, and only what was waiting is sent. Disconnect handlers run in a task of their own, so a `send`
never runs somebody else's code.

There are two rules: only a connection writes its own fields, and its state only changes by a step in
`states.TRANSITIONS`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from walkie_signal.bounded_log import BoundedLog
from walkie_signal.core.facts import Facts
from walkie_signal.core.ports import TextHandler
from walkie_signal.core.transitions import state_after
from walkie_signal.errors import ProtocolViolation
from walkie_signal.settings.transport import TransportSettings
from walkie_signal.transport.engineio.carriers import Carrier, Connecting
from walkie_signal.transport.engineio.outbox import Outbox
from walkie_signal.transport.engineio.states import TRANSITIONS, State, Step
from walkie_signal.turns import Turns
from walkie_signal.wire.frames import CLOSE, MESSAGE, NOOP, PING, PONG, Frame

log = logging.getLogger("walkie_signal.transport")

OVERFLOW_GRACE = 0.5
"""Seconds that an outbox may be over its bounds: less is a burst, such as a join in a room of a thousand."""

OVERFLOW = "overflow"
"""The reason for closing a connection that does not read what it is sent; python-engineio has no such reason."""


class Above(Protocol):
    """The protocol above Engine.IO, as its connections see it."""

    def receive_message(self, connection: Connection, message: Frame) -> None:
        """Take a message that arrived; of a text, without the digit of its type.

        Raises:
            ProtocolViolation: A client may not send it.
        """

    def bid_farewell(self, connection: Connection) -> None:
        """Send a last message on a connection that is about to close because a process ends."""

    def idle_since(self, connection: Connection) -> float | None:
        """Return the time since which a connection has joined nothing; ``None`` if it has joined something."""


class Owner(Protocol):
    """The Engine.IO server of a connection, as the connection sees it."""

    above: Above
    settings: TransportSettings
    facts: Facts
    lines: BoundedLog
    reason: Any
    max_http_buffer_size: int
    turns: Turns
    """The turns that connections wait for if they have sent more at once than one turn allows."""

    def alive(self, connection: Connection) -> None:
        """Record that the client has answered a ping."""

    def joined(self, connection: Connection) -> None:
        """Record that a connection has joined something."""

    def watch(self, connection: Connection) -> None:
        """Watch a connection on which something begins to wait."""

    def part(self, connection: Connection) -> None:
        """Tell the peer of a connection whose carrier is about to end, and close the connection."""

    def ended(self, connection: Connection) -> None:
        """Record that a connection has closed."""


class Connection:
    """An Engine.IO session.

    Attributes:
        sid: Its id. Anybody who knows it can speak for the client, so it is never logged.
        address: The client's address, for the log.
        session: The host's data about it, for python-engineio's `session`.
        app: The data of the protocol above.
        state: Its state, which is a step of `TRANSITIONS` behind the last one.
        is_open: Whether that is neither `CLOSED` nor `GONE`; each frame asks this.
        inline: If there is one, it gets each text message first; it returns whether it has taken it.
        ping_at: When the next ping is due, on the loop's clock.
        pinged: Whether a ping waits for its pong.
        expires: When the connection counts as dead if that pong has not come.
        reason: Why it closed; ``None`` while it is open.
        ending: Done when it is forgotten; ``None`` while it is open.
    """

    __slots__ = (
        "_loop", "_over", "_probe", "address", "app", "carrier", "ending", "expires", "inline", "is_open", "outbox",
        "owner", "ping_at", "pinged", "push", "reason", "session", "sid", "state",
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
        self.outbox = Outbox(owner.settings, self._loop.time)
        self.ping_at = self.expires = 0.0
        self.pinged = False
        self._probe: asyncio.Task[bool] | None = None
        self.ending: asyncio.Future[None] | None = None
        self.reason: str | None = None
        self.state = State.OPENING
        self.is_open = True
        self.carrier: Carrier = Connecting(self.outbox)
        self.push: Callable[[Frame], None] = self.carrier.push

    def _change_state(self, step: Step) -> None:
        self.state = state_after(TRANSITIONS, self.state, step)
        self.is_open = self.state not in (State.CLOSED, State.GONE)

    # What carries it, and what is on it

    def begin(self, app: Any) -> None:
        """Keep the data of the protocol above."""
        self.app = app

    def hear(self, inline: TextHandler | None) -> None:
        """Give each text message to `inline` first."""
        self.inline = inline

    def carry(self, carrier: Carrier) -> None:
        """Give the connection another carrier."""
        self._change_state(carrier.step)
        self._probe = None
        self.carrier = carrier
        self.push = carrier.push

    def push_by(self, push: Callable[[Frame], None]) -> None:
        """Let the carrier push another way: each frame calls `push` itself, with nothing in between."""
        self.push = push

    def begin_probe(self, probe: asyncio.Task[bool]) -> None:
        """Record that a WebSocket tries to take over; a close cancels `probe`."""
        self._change_state(Step.PROBE)
        self._probe = probe

    def end_probe(self) -> None:
        """Record that it does not take over."""
        self._change_state(Step.GIVE_UP)
        self._probe = None

    @property
    def closed(self) -> bool:
        """Whether the connection is closed."""
        return not self.is_open

    @property
    def upgraded(self) -> bool:
        """Whether a WebSocket carries it (python-engineio's name for this)."""
        return self.carrier.name == "websocket"

    # Out

    def send(self, frame: Frame) -> None:
        """Send a frame after all that was sent before; if the connection is closed, do nothing."""
        if self.is_open:
            self.push(frame)

    def send_all(self, frames: Sequence[Frame]) -> None:
        """Send frames, one after the other."""
        if self.is_open:
            self.carrier.push_all(frames)

    def send_latest(self, key: str, frame: Frame) -> None:
        """Send a frame, and drop the one that was sent with the same key before if that still waits."""
        if self.is_open:
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
            self.owner.above.receive_message(self, frame)
            return
        kind = frame[:1]
        if kind == MESSAGE:
            if self.inline is None or not self.inline(frame):
                self.owner.above.receive_message(self, frame[1:])
        elif kind == PONG:
            # A pong without a ping must not count as an answer to a later ping
            if self.pinged:
                self.owner.alive(self)
        elif kind == CLOSE:
            self.close(self.owner.reason.CLIENT_DISCONNECT, farewell=NOOP)
        elif frame != NOOP:  # the Swift client posts it before its upgrade, and Node ignores it
            raise ProtocolViolation("a frame that no client sends here")

    def violate(self, violation: ProtocolViolation) -> None:
        """Close a connection that broke the protocol, with one line in the log."""
        if not self.closed:
            kind = f"connection closed: {violation}"
            self.owner.lines.write(logging.WARNING, kind, "connection closed: %s (%s)", violation, self)
            self.outbox.clear()
            self.close(self.owner.reason.TRANSPORT_ERROR, code=violation.code)

    # Its times

    def ping(self, now: float, timeout: float) -> None:
        """Send a ping, whose pong has `timeout` seconds to come."""
        self.pinged = True
        if now - self.ping_at > timeout / 4:  # our loop was held up, not the client
            self.expires = now + timeout
        self.send(PING)

    def answered(self, now: float, interval: float, timeout: float) -> None:
        """Record that the client is there; the next ping is due in `interval` seconds."""
        self.pinged = False
        self.ping_at = now + interval
        self.expires = self.ping_at + timeout

    # The end

    def refuse(self, reason: str) -> None:
        """Close a connection that the host does not let in; its owner is not told."""
        if self.is_open:
            self._change_state(Step.CLOSE)
            self.reason = reason

    def close(self, reason: str, *, code: int = 1000, farewell: str | None = None) -> None:
        """Close for good; what waits is still written if the client reads it.

        Args:
            reason: The reason for disconnect handlers.
            code: The code that a WebSocket is closed with.
            farewell: The packet that answers a poll; ``None`` for that after which the client comes back by itself.
        """
        if not self.is_open:
            return
        self._change_state(Step.CLOSE)
        self.reason = reason
        self.ending = self._loop.create_future()
        if self._over is not None:
            self._over.cancel()
        if self._probe is not None:
            self._probe.cancel()
        self.carrier.end(code, farewell)
        self.owner.ended(self)

    def forget(self) -> None:
        """Record that the host was told of the end, and that nothing of the connection is kept."""
        self._change_state(Step.FORGET)
        if self.ending is not None and not self.ending.done():
            self.ending.set_result(None)

    def __str__(self) -> str:
        return f"{self.carrier.name}, from {self.address}"
