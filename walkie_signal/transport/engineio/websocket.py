"""WebSocket: one loop receives, frames are sent at once, and there is a writer only while that is not possible."""

from __future__ import annotations

import asyncio
import logging
import types
from collections.abc import Callable, Coroutine, Generator, MutableMapping, Sequence
from functools import partial
from time import monotonic
from typing import Any

from walkie_signal.errors import ProtocolViolation
from walkie_signal.transport.engineio.connection import Connection
from walkie_signal.transport.engineio.http import PARTING, Receive, Send
from walkie_signal.transport.engineio.outbox import size_of
from walkie_signal.transport.engineio.states import Step
from walkie_signal.turns import SLICE, Budget
from walkie_signal.wire.frames import Frame

log = logging.getLogger("walkie_signal.transport")

FAREWELL = 0.5
"""Seconds that a closed connection has to take what waits for it; ASGI has no other way to abort a connection."""

PAUSE = 0.0002
"""If `receive` takes more seconds than this, it has surely waited, and others had their turn."""

TOO_BIG = 1009
"""The close code for a message over the limit (RFC 6455, 7.4.1)."""

REFUSED = (1002, TOO_BIG)
"""The codes with which a web server closes a WebSocket for what the client sent, without logging it.

Text that is not UTF-8 (1007) is not among them: uvicorn's class and ours both log it.
"""

EAGER_SERVERS = ("uvicorn.", "walkie_signal.")
"""Modules of servers whose `send` is known to run outside a task as it does in one.

A middleware's `send` may not: `asyncio.timeout` in it would cancel the task that happens to be running.
"""


READ = 1 << 14
"""Most bytes that asyncio may read at once; uvicorn would make 7,000 frames of asyncio's 256 KiB in one turn."""

UNSEEN = 4
"""Most frames written in a turn if a middleware hides whether the connection is lost: for each write to a lost
connection from the fifth on, asyncio logs a line."""


def sends_eagerly(send: Send) -> bool:
    """Tell whether `send` is a known server's own, with no middleware around it."""
    owner = getattr(send, "__self__", None)
    return owner is not None and type(owner).__module__.startswith(EAGER_SERVERS)


def _is_closing(send: Send) -> Callable[[], bool] | None:
    """Return a function that tells whether the transport is closing; also bound how much it reads at once."""
    transport: Any = getattr(getattr(send, "__self__", None), "transport", None)
    if hasattr(transport, "max_size"):
        transport.max_size = READ
    return getattr(transport, "is_closing", None)


class WebSocket:
    """The carrier of a connection on a WebSocket."""

    name = "websocket"
    step = Step.TAKE_OVER

    def __init__(self, connection: Connection, send: Send) -> None:
        self._connection = connection
        self._outbox = connection.outbox
        self._send = send
        self._eager = sends_eagerly(send)
        self._is_closing = _is_closing(send) if self._eager else None
        self._writer: asyncio.Task[None] | None = None
        self._reader: asyncio.Task[Any] | None = None
        self._budget: Budget | None = None
        self._code: int | None = None
        self._limit: int = connection.owner.max_http_buffer_size
        self._quarter = self._limit // 4  # a character has at most four bytes

    @property
    def waiting(self) -> bool:
        """Whether the socket has not taken all that there is."""
        return self._writer is not None

    def note_progress(self, now: float) -> None:
        """Do nothing: what a writer has taken from the outbox has moved."""

    # Out

    def push(self, frame: Frame) -> None:
        """Write a frame at once if nothing waits before it, or let it wait; do nothing on a lost connection."""
        if self._is_closing is not None and self._is_closing():
            return
        if self._writer is None and self._eager:
            self._start(_message(frame))
        else:
            self._connection.wait(frame)
            self.flush()

    def push_all(self, frames: Sequence[Frame]) -> None:
        """Push one after the other."""
        for frame in frames:
            self.push(frame)

    def flush(self) -> None:
        """Write what waited before this was the carrier."""
        if len(self._outbox) and self._writer is None:
            self._writer = asyncio.create_task(self._write())

    def _start(self, message: MutableMapping[str, Any]) -> None:
        """Run the server's `send` until it would block, which is seldom; if it does, a task takes over."""
        sending: Any = self._send(message)
        try:
            blocker = sending.send(None)
        except StopIteration:
            return
        except Exception:  # noqa: BLE001 - each server has its own error for a socket that is gone
            self._lost()
            return
        self._outbox.moved = asyncio.get_running_loop().time()
        self._connection.owner.watch(self._connection)
        self._writer = asyncio.create_task(self._write(_resume(sending, blocker)))

    async def _write(self, begun: Coroutine[Any, Any, None] | None = None) -> None:
        outbox = self._outbox
        try:
            if begun is not None:
                await begun
            written = 0
            while len(outbox):
                if self._is_closing is not None and self._is_closing():
                    outbox.clear()
                    return
                await self._send(_message(outbox.take()))
                written += 1
                if self._is_closing is None and written % UNSEEN == 0:
                    await asyncio.sleep(0)
            if self._code is not None:
                await self._send({"type": "websocket.close", "code": self._code})
        except Exception:  # noqa: BLE001 - as in `_start`
            self._lost()
        finally:
            self._writer = None

    def _lost(self) -> None:
        self._outbox.clear()
        self._connection.close(self._connection.owner.reason.TRANSPORT_CLOSE)

    def end(self, code: int, farewell: str | None) -> None:  # noqa: ARG002 - the farewell is for a poll
        """Close after what waits; `run` makes sure that this takes no longer than `FAREWELL`."""
        self._code = code
        if self._writer is None and self._eager:
            self._start({"type": "websocket.close", "code": code})
        elif self._writer is None:
            self._writer = asyncio.create_task(self._write())
        if self._reader is not None:
            self._reader.cancel()

    # In

    async def run(self, receive: Receive) -> None:
        """Receive until either side closes the connection."""
        connection = self._connection
        try:
            await self._receive(receive)
        except ProtocolViolation as violation:
            connection.violate(violation)
        except asyncio.CancelledError:
            if not connection.closed:
                connection.close(connection.owner.reason.TRANSPORT_CLOSE)
                raise
            _uncancel()
        except Exception:
            log.exception("a fault in receiving; the connection is closed")
            connection.close(connection.owner.reason.TRANSPORT_ERROR, code=1011)
        connection.close(connection.owner.reason.TRANSPORT_CLOSE)
        if self._writer is not None:
            writer = self._writer
            await asyncio.wait({writer}, timeout=FAREWELL)
            writer.cancel()

    async def _receive(self, receive: Receive) -> None:
        connection = self._connection
        task = asyncio.current_task()
        began = ended = monotonic()
        while connection.is_open:
            self._reader = task  # closing the connection cancels this wait
            try:
                event = await receive()
            except Exception:  # noqa: BLE001 - as in `_start`
                return
            self._reader = None
            now = monotonic()
            if now - ended > PAUSE:
                began = now
            frame = self._frame_of(event)
            if frame is None:
                return
            connection.receive(frame)
            ended = monotonic()
            if ended - began > SLICE:  # a web server's `receive` returns at once while it has events
                self._budget = self._budget or Budget()
                await connection.owner.turns.wait(self._budget.spend(ended - began, ended))
                began = ended = monotonic()

    def _frame_of(self, event: MutableMapping[str, Any]) -> Frame | None:
        """Return the frame in an event; ``None`` if the event ends the connection."""
        connection = self._connection
        if event["type"] == PARTING:
            connection.owner.part(connection)
            return None
        if event["type"] != "websocket.receive":
            if event.get("code") in REFUSED:
                code = event["code"]
                raise ProtocolViolation(f"a frame that the web server refuses ({code})", code)
            return None
        frame: Frame | None = event.get("text")
        if frame is None:
            frame = event.get("bytes") or b""
        if len(frame) > self._quarter and size_of(frame) > self._limit:
            raise ProtocolViolation("a frame over the size limit", TOO_BIG)
        return frame


def _message(frame: Frame) -> dict[str, Any]:
    if isinstance(frame, str):
        return {"type": "websocket.send", "text": frame}
    return {"type": "websocket.send", "bytes": frame}


@types.coroutine
def _resume(sending: Any, blocker: Any) -> Generator[Any, Any, None]:
    """Continue a coroutine that was started by hand and waits for `blocker`."""
    while True:
        step: Callable[[], Any]
        try:
            yield blocker
        except BaseException as error:  # noqa: BLE001 - the coroutine has to see a cancellation
            step = partial(sending.throw, error)
        else:
            step = partial(sending.send, None)
        try:
            blocker = step()
        except StopIteration:
            return


def _uncancel() -> None:
    """Take back the cancellation that ended a wait, if Python counts them (from 3.11 on)."""
    task: Any = asyncio.current_task()
    if hasattr(task, "uncancel"):
        task.uncancel()
