"""WebSocket by direct frames: a callback takes frames in, a plain call sends them, and there is no task.

The web server offers them by an ASGI extension (`walkie_signal.direct.protocol`), which this module uses.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from walkie_signal.errors import ProtocolViolation
from walkie_signal.transport.engineio.connection import Connection
from walkie_signal.transport.engineio.http import Receive, Scope, Send
from walkie_signal.transport.engineio.outbox import size_of
from walkie_signal.transport.engineio.states import Step
from walkie_signal.transport.engineio.websocket import FAREWELL, TOO_BIG, WebSocket
from walkie_signal.turns import SLICE, Budget
from walkie_signal.wire.frames import Frame

log = logging.getLogger("walkie_signal.transport")

AT_ONCE = 64
"""Frames that are written with one call of the system, whether or not the web server's buffer is full by then."""

EXTENSION = "walkie_signal.direct"


def websocket_of(connection: Connection, scope: Scope, send: Send) -> WebSocket | DirectWebSocket:
    """Return the quickest carrier that the web server offers for an accepted WebSocket.

    Direct frames are not used if a middleware has wrapped `send`, because it wants to see what is sent.
    """
    direct = (scope.get("extensions") or {}).get(EXTENSION)
    if direct is not None and direct.carries(send):
        return DirectWebSocket(connection, direct, deaf=_is_deaf(scope))
    return WebSocket(connection, send)


def _is_deaf(scope: Scope) -> bool:
    """Tell whether the client takes no notice of a WebSocket's CLOSE, but of the end of its TCP connection.

    The Java library is: it does nothing when OkHttp reports the CLOSE, and OkHttp reads no further. It would notice
    when no ping has come for 18 s.
    """
    return any(name == b"user-agent" and value.startswith(b"okhttp/") for name, value in scope["headers"])


class DirectWebSocket:
    """The carrier of a connection on a WebSocket with direct frames.

    Frames that the socket does not take go to the web server's buffer; once that is full, to the outbox.
    """

    name = "websocket"
    step = Step.TAKE_OVER

    def __init__(self, connection: Connection, direct: Any, *, deaf: bool) -> None:
        self._connection = connection
        self._outbox = connection.outbox
        self._direct = direct
        self._deaf = deaf
        self.push: Callable[[Frame], None] = direct.send
        self._send_all: Callable[[Sequence[Frame]], None] = direct.send_all
        self._paused = False
        self._left = 0
        self._since: float | None = None
        self._budget: Budget | None = None
        self._waiting: deque[Frame] | None = None
        self._limit: int = connection.owner.max_http_buffer_size
        self._quarter = self._limit // 4  # a character has at most four bytes

    @property
    def waiting(self) -> bool:
        """Whether the socket has not taken everything."""
        return self._direct.waiting > 0 or len(self._outbox) > 0

    def note_progress(self, now: float) -> None:
        """Let the outbox know if the web server's buffer has shrunk."""
        before, self._left = self._left, self._direct.waiting
        if self._left < before or not before:
            self._outbox.moved = now

    # Out

    def push_all(self, frames: Sequence[Frame]) -> None:
        """Send frames with few calls of the system; once the web server's buffer is full, let them wait."""
        for start in range(0, len(frames), AT_ONCE):
            some = frames[start : start + AT_ONCE]
            if self._paused:
                for frame in some:
                    self._connection.wait(frame)
            else:
                self._send_all(some)

    def flush(self) -> None:
        """Send what waits, until the web server's buffer is full."""
        while len(self._outbox) and not self._paused:
            self.push(self._outbox.take())
        if not self._paused:
            self._connection.push_by(self.push)

    def _pause(self, paused: bool) -> None:  # noqa: FBT001 - a callback
        self._paused = paused
        if paused:
            self._left = self._direct.waiting
            self._outbox.moved = asyncio.get_running_loop().time()
            self._connection.owner.watch(self._connection)
            self._connection.push_by(self._connection.wait)
        else:
            self.flush()

    def end(self, code: int, farewell: str | None) -> None:  # noqa: ARG002 - the farewell is for a poll
        """Close after what waits, but after `FAREWELL` even if the client has not taken all of it."""
        self._paused = False
        self.flush()
        if self._deaf:
            self._direct.hang_up()
        else:
            self._direct.close(code)
        asyncio.get_running_loop().call_later(FAREWELL, self._direct.abort)

    # In

    async def run(self, receive: Receive) -> None:
        """Take frames until the WebSocket is closed."""
        connection = self._connection
        self._listen()
        try:
            await receive()
            while self._waiting is not None and connection.is_open:
                await connection.owner.turns.wait()  # what came before the end is carried out first
        finally:
            connection.close(connection.owner.reason.TRANSPORT_CLOSE)

    def _listen(self) -> None:
        self._direct.start(self._receive_frame, self._receive_frame, self._pause, self._more)

    def _more(self) -> None:
        """Hold the rest of what was read at once, if this connection has used up its slice of the turn."""
        now = monotonic()
        if self._since is None:
            self._since = now
            asyncio.get_running_loop().call_soon(self._turn_over)
        elif now - self._since > SLICE:
            self._waiting = deque()
            self._direct.hold(self._waiting.append, self._pause)
            self._rest(now - self._since, now)

    def _turn_over(self) -> None:
        self._since = None

    def _rest(self, used: float, now: float) -> None:
        """Let others have their turns; a connection that floods lets them have most of the time."""
        if self._budget is None:
            self._budget = Budget()
        self._connection.owner.turns.after(self._budget.spend(used, now), self._go_on)

    def _go_on(self) -> None:
        """Take the held frames, for at most a slice in each turn, and then read on."""
        began = monotonic()
        while self._waiting and self._connection.is_open:
            try:
                self._receive_frame(self._waiting.popleft())
            except Exception:
                log.exception("a fault in taking a message; the connection is closed")
                self._connection.close(self._connection.owner.reason.TRANSPORT_ERROR, code=1011)
            now = monotonic()
            if now - began > SLICE:
                self._rest(now - began, now)
                return
        self._waiting = None
        self._listen()  # a closed connection does so too, to hear the client's CLOSE

    def _receive_frame(self, frame: Frame) -> None:
        connection = self._connection
        if not connection.is_open:
            return
        try:
            if len(frame) > self._quarter and size_of(frame) > self._limit:
                raise ProtocolViolation("a frame over the size limit", TOO_BIG)
            connection.receive(frame)
        except ProtocolViolation as violation:
            connection.violate(violation)
