"""One connection to Redis, kept lean because signals go through it.

Requests are answered in order. hiredis does the parsing and packing.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any

import hiredis

from walkie_signal.backends.shared.lifetime import Lifetime
from walkie_signal.backends.shared.store import LostError

Answer = Callable[[Any], None]
"""Takes what Redis answers; it is an exception if Redis refuses, or if the connection ended before."""


ENDED = "the connection ended"

STRANGE = "what answers there does not speak as Redis does; perhaps it wants TLS (rediss://)"


_IN_A_SCRIPT = re.compile(r"ERR Error running script \(call to \w+\): (?:@\w+: ?\d+: )*-?")
"""What Redis puts before the error of a script's command, up to its release 6.2."""


def reason(error: OSError) -> str:
    """Return the words for how a connection failed; each event loop has others of its own for the same error."""
    if isinstance(error, ssl.SSLError):  # its number is not the system's
        return (error.reason or str(error)).replace("_", " ").lower()
    return os.strerror(error.errno or 0)


def text_of(error: Exception) -> str:
    """Return the text of an error from Redis, which begins with its code."""
    return _IN_A_SCRIPT.sub("", str(error), count=1)


def words(error: Exception) -> str:
    """Return the first sentence of an error from Redis, because some of its texts are a page long."""
    return text_of(error).partition(". ")[0].partition("\n")[0].rstrip(".")[:200]


def packed(*parts: str | bytes | int) -> bytes:
    """Write a request as Redis reads it."""
    return hiredis.pack_command(parts)  # type: ignore[arg-type, no-any-return]  # its types allow one part only


def ignore(_answer: Any) -> None:
    """Do nothing with an answer."""


class Wire(asyncio.Protocol):
    """A connection.

    Args:
        hear: Takes a channel and what was published on it.
        lost: Called with the reason when the connection has ended in any way.
        lifetime: The lifetime of the node; after it, nothing is sent and nothing is heard.
    """

    def __init__(
        self, hear: Callable[[bytes, bytes], None], lost: Callable[[str], None], lifetime: Lifetime
    ) -> None:
        self._hear = hear
        self._lifetime = lifetime
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._answers: deque[tuple[float, Answer]] = deque()
        self._confirmed: dict[tuple[bytes, bytes], list[asyncio.Future[None]]] = {}
        self._transport: Any = None
        self._ended = False
        self._why = ENDED

    # What is asked

    def post(self, request: bytes, answer: Answer) -> None:
        """Send a packed request; `answer` is called once, and at once if the connection has ended."""
        now = self._loop.time()
        if now > self._lifetime.until:
            self._lifetime.tick()
        if self._ended:
            answer(LostError(self._why))
            return
        self._answers.append((now, answer))
        self._transport.write(request)

    def ask(self, *parts: str | bytes | int) -> asyncio.Future[Any]:
        """Send a request; returns a future for its answer.

        Raises (in the future):
            hiredis.ReplyError: Redis refuses it.
            LostError: The connection ended before.
        """
        future = self._loop.create_future()
        self.post(packed(*parts), lambda answer: _resolve(future, answer))
        return future

    def subscribe(self, channel: str) -> asyncio.Future[None]:
        """Begin to hear a channel; the returned future is done when Redis has confirmed it."""
        future = self._loop.create_future()
        if self._ended:
            future.set_exception(LostError(self._why))
            return future
        self._confirmed.setdefault((b"subscribe", channel.encode()), []).append(future)
        self._transport.write(packed("SUBSCRIBE", channel))
        return future

    def unsubscribe(self, channel: str) -> None:
        """Stop hearing a channel."""
        if not self._ended:
            self._transport.write(packed("UNSUBSCRIBE", channel))

    def waiting_since(self) -> float | None:
        """Return when the oldest unanswered request was sent, on the loop's clock; ``None`` if there is none."""
        return self._answers[0][0] if self._answers else None

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()
        self._end()

    # What asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take answers and what was published."""
        if self._loop.time() > self._lifetime.until:
            self._lifetime.tick()
        if self._ended:
            return
        self._reader.feed(data)
        gets = self._reader.gets
        try:
            while (reply := gets()) is not False:
                if self._answers:
                    self._answers.popleft()[1](reply)
                elif type(reply) is list and reply[0] == b"message":
                    self._hear(reply[1], reply[2])
                else:
                    self._confirm(reply)
        except hiredis.ProtocolError:
            self._why = STRANGE
            self.abort()

    def _confirm(self, reply: Any) -> None:
        """Take the confirmation that a channel is heard, or not heard any more."""
        if isinstance(reply, hiredis.ReplyError):
            self._why = words(reply)  # a Redis that lets nobody in says only this before it hangs up
            self._refuse(reply)  # or Redis refuses a channel, and it does not say which
            return
        kind, channel, _ = reply
        for future in self._confirmed.pop((kind, channel), ()):
            if not future.done():
                future.set_result(None)

    def _refuse(self, error: Exception) -> None:
        """Let every wait for the confirmation of a channel fail."""
        for futures in self._confirmed.values():
            for future in futures:
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # asyncio would complain if nobody looked at it
        self._confirmed.clear()

    def connection_lost(self, error: Exception | None) -> None:
        """Let every request without an answer fail."""
        if isinstance(error, OSError) and error.errno and self._why == ENDED:
            self._why = f"{ENDED}: {reason(error)}"
        self._end()

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        answers, self._answers = self._answers, deque()
        for _, answer in answers:
            answer(LostError(self._why))
        self._refuse(LostError(self._why))
        self._lost(self._why)


class NoWire:
    """What stands in for a connection while there is none."""

    def post(self, _request: bytes, answer: Answer) -> None:
        """Answer at once that there is no connection."""
        answer(LostError())

    def ask(self, *_parts: str | bytes | int) -> asyncio.Future[Any]:
        """Raise `LostError`."""
        raise LostError

    def subscribe(self, _channel: str) -> asyncio.Future[None]:
        """Raise `LostError`."""
        raise LostError

    def unsubscribe(self, _channel: str) -> None:
        """Do nothing: nothing is heard."""

    def waiting_since(self) -> float | None:
        """Return ``None``: nothing waits."""
        return None

    def abort(self) -> None:
        """Do nothing."""


def _resolve(future: asyncio.Future[Any], answer: Any) -> None:
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
        future.exception()  # asyncio would complain if nobody looked at it
    else:
        future.set_result(answer)
