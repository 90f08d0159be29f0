"""This node's way to Redis: one connection that asks, one that listens, and their life.

    away ──connect both──▶ restoring ──everything is right again──▶ up
      ▲                        │                                    │
      └───── (jittered) ───────┴── either ends, or does not answer ─┘

The two live and die together. What was sent on a connection that is given up may still be carried out by a Redis
that was stopped; so the first thing that a new one does is to end the old ones, and whatever they did is seen by
`restore`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import hiredis

from walkie_signal.backends.redis import scripts
from walkie_signal.backends.redis.outage import Outage
from walkie_signal.backends.redis.rights import Housekeeping, is_refusal
from walkie_signal.backends.redis.scripts import Script
from walkie_signal.backends.redis.server import Server
from walkie_signal.backends.redis.wire import Answer, Lifetime, Lost, Wire, words
from walkie_signal.errors import SignalingError

log = logging.getLogger("walkie_signal.redis")

REPLY_TIMEOUT = 1.5
"""Seconds for an answer; after that the connections are given up, and whoever waits is told `unavailable`."""

WATCH_INTERVAL = 0.25
"""Seconds between two looks at what waits for an answer."""

RESTORE_TIMEOUT = 10.0
"""Seconds to make everything right again, in which each single answer has `REPLY_TIMEOUT`."""

FIRST_DELAY = 0.2
"""Most seconds before the first try after a loss: each node waits a random part of it."""

DELAY = 1.0
"""Most seconds before the later ones; the least are half of it."""

CANCEL_INTERVAL = 0.1
"""Seconds after which a task that was cancelled and goes on is cancelled again."""

SILENT = "it does not answer"

CHANGED = ("NOSCRIPT", "READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN")
"""The errors of a Redis that is not what it was when we connected."""


Failed = (Lost, hiredis.HiredisError, asyncio.TimeoutError)
"""What a request that Redis did not carry out raises."""


class Uplink:
    """The two connections of one node.

    Args:
        url: Of the Redis server.
        restore: Makes everything right on new connections, and then sets `up`.
        hear: Takes a channel and what was published on it.
        down: Called when the uplink was up, or nearly, and is not any more.

    Attributes:
        node_id: This node, in its present incarnation; empty until it starts, for the process may be forked before.
        up: Whether requests are taken.
        lifetime: How long this process may go on as that node.
    """

    def __init__(
        self,
        url: str,
        restore: Callable[[], Awaitable[None]],
        hear: Callable[[bytes, bytes], None],
        down: Callable[[], None],
    ) -> None:
        self._server = Server(url)
        self.address = self._server.address
        self.node_id = ""
        self.up = False
        self.lifetime = Lifetime()
        self._restore = restore
        self._hear = hear
        self._down = down
        self._asking: Wire | None = None
        self.listening: Wire | None = None
        self._former: list[tuple[int, str]] = []
        self._housekeeping = Housekeeping(self.address)
        self._scripts_kept = False
        self._lost: asyncio.Event
        self._running: asyncio.Task[None] | None = None
        self._why = ""
        self._outage = Outage(str(self.address))
        self._fault = ""

    # Its life

    async def start(self, within: float) -> None:
        """Connect; returns once it is up, or after so many seconds while it goes on trying."""
        self._lost = asyncio.Event()  # of the loop that it is started on
        first = asyncio.get_running_loop().create_future()
        self._running = asyncio.create_task(self._run(first))
        await asyncio.wait([first], timeout=within)
        first.cancel()

    async def close(self) -> None:
        """End both connections."""
        if self._running is not None:
            await _end(self._running)
            self._running = None
        self._server.close()

    def lose(self, why: str) -> None:
        """Give the connections up, and connect anew."""
        if not self._lost.is_set():
            self._why = why
            self._lost.set()

    async def _run(self, first: asyncio.Future[None]) -> None:
        delay = FIRST_DELAY
        while True:
            try:
                await self._connect()
                await asyncio.wait_for(self._restored(), RESTORE_TIMEOUT)
                self._outage.end(self._server.where())
                delay, self._fault = FIRST_DELAY, ""
                if not first.done():
                    first.set_result(None)
                await self._lost.wait()
                self._outage.begin(self._why)
            except (OSError, asyncio.TimeoutError, hiredis.HiredisError, SignalingError) as error:
                self._failed(words(error) if isinstance(error, hiredis.ReplyError) else str(error))
            except Exception as error:
                self._server.shun()
                if repr(error) != self._fault:
                    self._fault = repr(error)
                    log.exception("Redis at %s: a fault of ours", self.address)
            finally:
                self._give_up()
            await asyncio.sleep(random.uniform(delay / 2 if delay == DELAY else 0, delay))  # noqa: S311
            delay = DELAY

    def _failed(self, why: str) -> None:
        self._server.shun()
        self._outage.failed(why or self._why or SILENT)

    async def _connect(self) -> None:
        self._lost.clear()
        self._why = ""
        await self._server.find()
        former = len(self._former)
        try:
            self._asking = asking = await self._open("asks")
            self.listening = await self._open("listens")
            self._watch_soon(asking)
            await self._end_former(asking, self._former[:former])
            keep = partial(self._housekeeping.ask, asking, "SCRIPT", "LOAD")
            kept = await asyncio.gather(*(keep(each.source) for each in scripts.ALL))
            self._scripts_kept = None not in kept
        except BaseException:
            del self._former[former:]  # nothing that changes anything was asked on these
            raise
        del self._former[:former]

    async def _end_former(self, asking: Wire, former: list[tuple[int, str]]) -> None:
        """End former connections, if that is allowed; their names say whether they are this node's."""
        for number, name in former:
            line = await self._housekeeping.ask(asking, "CLIENT", "LIST", "ID", number)
            if line is not None and f" name={name} " in line.decode("utf-8", "replace"):
                await self._housekeeping.ask(asking, "CLIENT", "KILL", "ID", number)

    async def _open(self, part: str) -> Wire:
        wire = await self._server.open(self._hear, self.lose, self.lifetime)
        try:
            name = f"walkie-signal-{part}-{secrets.token_hex(8)}"
            number = await asyncio.wait_for(self._introduce(wire, name), REPLY_TIMEOUT)
        except BaseException:
            wire.abort()
            raise
        if number is not None:
            self._former.append((number, name))
        return wire

    async def _introduce(self, wire: Wire, name: str) -> int | None:
        """Log in; returns the connection's number, or ``None`` if Redis does not say it."""
        await self._server.enter(wire)
        await self._housekeeping.ask(wire, "CLIENT", "SETNAME", name)
        if self._asking is None:  # it is the first of the two
            await self._server.examine(wire)
        number: int | None = await self._housekeeping.ask(wire, "CLIENT", "ID")
        return number

    async def _restored(self) -> None:
        """Restore, or fail with the connections."""
        restoring = asyncio.ensure_future(self._restore())
        losing = asyncio.create_task(self._lost.wait())
        try:
            await asyncio.wait({restoring, losing}, return_when=asyncio.FIRST_COMPLETED)
            if not restoring.done():
                raise Lost(self._why)
            await restoring
        finally:
            losing.cancel()
            await _end(restoring)

    def _watch_soon(self, wire: Wire) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(WATCH_INTERVAL, self._watch, wire, loop.time() + WATCH_INTERVAL)

    def _watch(self, wire: Wire, due: float) -> None:
        """Look whether Redis answers."""
        if wire is not self._asking:
            return
        now, since = asyncio.get_running_loop().time(), wire.waiting_since()
        late = (
            now - due > WATCH_INTERVAL
        )  # it was this process that stood still: the answer may be here, unread
        if since is not None and not late and now - since > REPLY_TIMEOUT - WATCH_INTERVAL:
            self.lose(SILENT)
            self._give_up()
        else:
            self._watch_soon(wire)

    def _give_up(self) -> None:
        self._lost.set()
        self.up = False
        wires, self._asking, self.listening = (self._asking, self.listening), None, None
        for wire in wires:
            if wire is not None:
                wire.abort()
        self._down()

    # What is asked

    def check(self) -> None:
        """Do nothing while requests are taken.

        Raises:
            SignalingError: ``unavailable`` while they are not.
        """
        if asyncio.get_running_loop().time() > self.lifetime.until:
            self.lifetime.over()
        if not self.up:
            raise unavailable()

    def post(self, request: bytes, answer: Answer) -> None:
        """Send a packed request; see `Wire.post`."""
        if self._asking is None:
            answer(Lost())
        else:
            self._asking.post(request, answer)

    def ask(self, *parts: str | bytes | int) -> asyncio.Future[Any]:
        """Send a request; see `Wire.ask`."""
        if self._asking is None:
            raise Lost
        return self._asking.ask(*parts)

    def run(self, script: Script, keys: list[str], *arguments: str | int) -> asyncio.Future[Any]:
        """Run a script; see `Wire.ask`."""
        how = ("EVALSHA", script.sha) if self._scripts_kept else ("EVAL", script.source)
        answer = self.ask(*how, len(keys), *keys, *arguments)
        answer.add_done_callback(self._look)
        return answer

    def _look(self, answer: asyncio.Future[Any]) -> None:
        """Connect anew if Redis has another role by now, has forgotten the scripts, or refuses what it did not."""
        error = None if answer.cancelled() else answer.exception()
        if isinstance(error, hiredis.ReplyError) and (str(error).startswith(CHANGED) or is_refusal(error)):
            self.lose(words(error))


async def _end(task: asyncio.Future[None]) -> None:
    """Cancel a task, whatever it raises then."""
    while not task.done():  # `wait_for` may swallow a cancellation before Python 3.12
        task.cancel()
        await asyncio.wait([task], timeout=CANCEL_INTERVAL)
    if not task.cancelled():
        task.exception()  # it may have failed with the connections just then


def unavailable() -> SignalingError:
    """Make the error of what can't be done while Redis is away."""
    later = round(random.uniform(500, 2000))  # noqa: S311
    return SignalingError("unavailable", "the service is cut off; try again", retryAfterMs=later)
