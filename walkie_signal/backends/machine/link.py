"""The connection of a worker to the keeper of its group."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from walkie_signal.backends.machine.frames import BrokenFrameError, Frames, pack
from walkie_signal.backends.machine.keeper import GREETING
from walkie_signal.backends.shared.format import READS, WRITES
from walkie_signal.backends.shared.lifetime import Lifetime
from walkie_signal.backends.shared.store import LostError
from walkie_signal.forks import keep_from_forks
from walkie_signal.unix_sockets import fileno_of, is_ours

ENDED = "the keeper of the rooms is gone"

Taken = Callable[[Any], None]
"""Takes an answer; it is an exception if the connection ended before."""


class Link(asyncio.Protocol):
    """A connection.

    Args:
        hear: Takes the kind of what was published, ``room`` or ``node``, and the rest of the frame.
        lost: Called with the reason when the connection has ended in any way.
        lifetime: The lifetime of the node; after it, nothing is sent and nothing is heard.
    """

    def __init__(
        self,
        hear: Callable[[list[Any]], None],
        lost: Callable[[str], None],
        lifetime: Lifetime,
    ) -> None:
        self._hear = hear
        self._lost = lost
        self._lifetime = lifetime
        self._loop = asyncio.get_running_loop()
        self._frames = Frames()
        self._waiting: deque[tuple[int, float, Taken]] = deque()
        self._number = 0
        self._unsent: list[bytes] = []
        self._greeted: asyncio.Future[tuple[int, int]] = self._loop.create_future()
        self._transport: Any = None
        self._ended = False

    def fileno(self) -> int:
        """Return the number of the socket."""
        return fileno_of(self._transport)

    # What is asked

    async def greet(self, node: str, worker: str) -> tuple[int, int]:
        """Say who this is, and wait for the keeper's greeting.

        Returns the process id of the keeper, and how many workers are there, this one counted.

        Raises:
            LostError: The connection has ended.
        """
        self._transport.write(pack(GREETING, WRITES, node, worker))
        return await self._greeted

    def post(self, taken: Taken, verb: str, *arguments: Any) -> None:
        """Send a request; `taken` is called once, and at once if the connection has ended."""
        now = self._loop.time()
        if now > self._lifetime.until:
            self._lifetime.tick()
        if self._ended:
            taken(LostError(ENDED))
            return
        packed = pack(self._number + 1, verb, *arguments)  # what can't be packed is not waited for
        self._number += 1
        self._waiting.append((self._number, now, taken))
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(packed)

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if not self._ended:
            self._transport.write(b"".join(unsent))

    def waiting_since(self) -> float | None:
        """Return when the oldest unanswered request was sent, on the loop's clock; ``None`` if there is none."""
        return self._waiting[0][1] if self._waiting else None

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()
        self._end()

    # What asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, if our own user listens there."""
        self._transport = transport
        keep_from_forks(self)
        if not is_ours(transport.get_extra_info("socket")):
            self.abort()

    def data_received(self, data: bytes) -> None:
        """Take answers and what was published."""
        if self._loop.time() > self._lifetime.until:
            self._lifetime.tick()
        if self._ended:
            return
        try:
            for frame in self._frames.feed(data):
                self._take(frame)
        except (BrokenFrameError, ValueError):
            self.abort()

    def _take(self, frame: list[Any]) -> None:
        first = frame[0]
        if type(first) is int:
            _, answer = frame
            number, _, taken = self._waiting.popleft() if self._waiting else (0, 0.0, _unasked)
            if number != first:
                raise BrokenFrameError("an answer to another request")
            taken(answer)
        elif not self._greeted.done():
            if first != GREETING or frame[1] not in READS:
                raise BrokenFrameError("a keeper of another release")
            _, _, process, workers = frame
            self._greeted.set_result((process, workers))
        else:
            self._hear(frame)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - as the base class
        """Let every request without an answer fail."""
        self._end()

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        waiting, self._waiting = self._waiting, deque()
        for _, _, taken in waiting:
            taken(LostError(ENDED))
        if not self._greeted.done():
            self._greeted.set_exception(LostError(ENDED))
            self._greeted.exception()
        self._lost(ENDED)


def _unasked(_answer: Any) -> None:
    raise BrokenFrameError("an answer to nothing")


class NoLink:
    """What stands in for a connection while there is none."""

    def post(self, taken: Taken, _verb: str, *_arguments: Any) -> None:
        """Answer at once that there is no connection."""
        taken(LostError(ENDED))

    def waiting_since(self) -> float | None:
        """Return ``None``: nothing waits."""
        return None

    def abort(self) -> None:
        """Do nothing."""
