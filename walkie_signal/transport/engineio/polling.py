"""Long polling: a GET waits until there is something to send, and a POST brings what the client sends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from time import monotonic

from walkie_signal.errors import ProtocolViolation
from walkie_signal.transport.engineio.connection import Connection
from walkie_signal.transport.engineio.http import (
    BAD_REQUEST,
    BODY_TOO_LARGE,
    GoneError,
    RefusedError,
    Request,
    Response,
    TooLargeError,
)
from walkie_signal.transport.engineio.states import State, Step
from walkie_signal.turns import SLICE
from walkie_signal.wire.frames import CLOSE, NOOP, Frame, read_payload, write_payload

NOOP_INTERVAL = 0.25
"""Seconds that a poll waits while a WebSocket probes.

A client sends its upgrade when none of its polls is under way. If a poll arrives together with the upgrade, the
client sent it later, on another connection, so it waits until it can be refused.
"""

HURRY = 0.1
"""The same for the first poll after the answer to the probe, whose end the client waits for. The JavaScript server
looks for it every 100 ms."""

MOST = 16
"""Most packets in one answer: python-engineio's client disconnects at more (its ``Payload.max_decode_packets``).

Its user agent may be anything, because the host can give it an HTTP session. The rest comes with the next poll, in
order and at once, but that costs a round trip; so clients that are known to take any number get all packets.
"""

UNLIMITED = re.compile(rb"Mozilla/|node|okhttp/|Dart/|.* CFNetwork/")
"""User agents of clients whose ``decodePayload`` is a loop without a bound.

These are browsers and webviews; Node.js, whose engine.io-client says ``node-XMLHttpRequest``; Java, and React
Native on Android; Dart; Swift, and React Native on iOS.
"""


class Polling:
    """The carrier of a connection that polls."""

    name = "polling"
    step = Step.POLL

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._outbox = connection.outbox
        self._poll: asyncio.Future[bool] | None = None  # true if a WebSocket has taken over meanwhile
        self._posting = False
        self._reading: asyncio.Task[bytes] | None = None
        self._ended = False
        self._farewell: str | None = None
        self._cut = False
        self._hurried = False
        self._told = False  # whether the farewell was sent

    @property
    def waiting(self) -> bool:
        """Whether something waits for the next poll."""
        return len(self._outbox) > 0

    def note_progress(self, now: float) -> None:
        """Do nothing: all that waits is in the outbox."""

    @property
    def polled(self) -> bool:
        """Whether there is a poll under way that can be answered."""
        return self._poll is not None and not self._poll.done()

    @property
    def owed(self) -> bool:
        """Whether a closed connection still has something to tell after the answer to the waiting poll.

        A client's close may overtake one of its own polls, which still has to be answered.
        """
        if self._farewell == NOOP:
            return self._poll is None and not self._told
        return self.waiting or self._cut

    def push(self, frame: Frame) -> None:
        """Answer the waiting poll, or let the frame wait for the next one."""
        self._connection.wait(frame)
        self._wake()

    def push_all(self, frames: Sequence[Frame]) -> None:
        """Answer with all of them, or let them wait."""
        for frame in frames:
            self._connection.wait(frame)
        self._wake()

    def end(self, code: int, farewell: str | None) -> None:  # noqa: ARG002 - the code is for a WebSocket
        """Answer the waiting poll for the last time, or with what waits, and then the next one."""
        self._ended, self._farewell = True, farewell
        self._wake()
        if self._reading is not None:
            self._reading.cancel()

    def release(self) -> None:
        """Answer the poll that waits, with nothing where there is nothing; if none does, the next before long."""
        self._hurried = not self.polled
        self._wake()

    def taken_over(self) -> None:
        """Refuse the waiting poll and all later ones, because a WebSocket has taken over."""
        self._wake(taken_over=True)

    def _wake(self, *, taken_over: bool = False) -> None:
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(taken_over)

    # GET

    async def get(self, request: Request) -> Response:
        """Answer a poll once there is something to answer with.

        Raises:
            RefusedError: It can't be answered, or a WebSocket has taken over.
            GoneError: The client left meanwhile, which ends the connection.
        """
        if self._poll is not None:
            self._connection.violate(ProtocolViolation("two polls at once"))
            raise RefusedError(BAD_REQUEST)
        most = _most(request)
        if not self.waiting and not self._ended:
            await self._something(request)
        # After an upgrade, the WebSocket sends what waits
        frames = self._outbox.take_some(most) if self._connection.carrier is self else []
        # socket.io-client acts on a close before the events that come with it, even if they are ahead of it
        self._cut = self._ended and (self.waiting or (len(frames) > 0 and self._farewell != NOOP))
        self._told = self._ended and not self._cut
        return Response(write_payload(frames or [self._last(request) if self._ended else NOOP]))

    def _last(self, request: Request) -> str:
        """Return the packet for a closed connection.

        python-engineio's client treats a CLOSE like its own ``disconnect``, and stays away. If its next request is
        refused, it comes back, as every client does.
        """
        return self._farewell or (NOOP if request.from_python else CLOSE)

    async def _something(self, request: Request) -> None:
        loop = asyncio.get_running_loop()
        self._poll = loop.create_future()
        interval, self._hurried = HURRY if self._hurried else NOOP_INTERVAL, False
        timer = loop.call_later(interval, self._wake) if self._connection.state is State.PROBING else None
        departure = loop.create_task(request.departure())
        departure.add_done_callback(self._departed)
        try:
            taken_over = await self._poll
        except asyncio.CancelledError:
            self._connection.close(self._connection.owner.reason.TRANSPORT_CLOSE)
            raise
        finally:
            self._poll = None
            departure.cancel()
            if timer is not None:
                timer.cancel()
        if _has_left(departure):
            raise GoneError
        if taken_over:
            raise RefusedError(BAD_REQUEST)

    def _departed(self, departure: asyncio.Task[bool]) -> None:
        if not departure.cancelled() and self._poll is not None and not self._poll.done():
            if _has_left(departure):
                self._connection.close(self._connection.owner.reason.TRANSPORT_CLOSE)
            self._wake()

    # POST

    async def post(self, request: Request) -> Response:
        """Take what the client sends.

        Raises:
            RefusedError: The client broke the protocol, and its connection has been closed.
            GoneError: The client left before it had sent everything.
        """
        if self._posting:
            self._connection.violate(ProtocolViolation("two POSTs at once"))
            raise RefusedError(BAD_REQUEST)
        self._posting = True
        try:
            await self._receive_frames(read_payload(await self._body(request)))
        except ProtocolViolation as violation:
            self._connection.violate(violation)
            raise RefusedError(BAD_REQUEST) from None
        finally:
            self._posting = False
        return Response(b"ok")

    async def _receive_frames(self, frames: Iterator[Frame]) -> None:
        connection = self._connection
        began = monotonic()
        for frame in frames:
            if connection.closed:
                return
            if monotonic() - began > SLICE:
                await connection.owner.turns.wait()
                began = monotonic()
            connection.receive(frame)

    async def _body(self, request: Request) -> bytes:
        """Read the body while the connection is open, so that a POST that never ends holds nothing up."""
        reading = asyncio.create_task(request.body(self._connection.owner.max_http_buffer_size))
        self._reading = reading
        try:
            await asyncio.wait({reading})
        except asyncio.CancelledError:
            reading.cancel()
            raise
        finally:
            self._reading = None
        if reading.cancelled():
            raise RefusedError(BAD_REQUEST)
        try:
            return reading.result()
        except TooLargeError:
            self._connection.violate(ProtocolViolation("a body over the size limit", 1009))
            raise RefusedError(BODY_TOO_LARGE) from None


def _has_left(departure: asyncio.Task[bool]) -> bool:
    """Tell whether the client has left; if the web server raised an error instead, it counts as left."""
    if not departure.done() or departure.cancelled():
        return False
    return departure.exception() is not None or departure.result()


def _most(request: Request) -> int | None:
    """Return how many packets the client takes in one answer; ``None`` for any number."""
    agent = request.header(b"user-agent") or b""
    return None if UNLIMITED.match(agent) and not request.from_python else MOST
