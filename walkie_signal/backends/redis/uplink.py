"""This node's way to Redis: one connection that asks, one that listens, and their life.

The two connections live and die together: if either ends or does not answer, a new pair is opened (`pairs`), and
everything is made right on it before requests are taken. The state only changes by a step in
`uplink_states.TRANSITIONS`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

import hiredis

from walkie_signal.backends.redis.outage import Outage
from walkie_signal.backends.redis.pairs import Pairs
from walkie_signal.backends.redis.rights import is_refusal
from walkie_signal.backends.redis.scripts import Script
from walkie_signal.backends.redis.server import Server
from walkie_signal.backends.redis.wire import Answer, Lost, NoWire, Wire, text_of, words
from walkie_signal.backends.shared.store import RefusedError
from walkie_signal.backends.shared.uplink import REPLY_TIMEOUT, Node, unavailable
from walkie_signal.backends.shared.uplink_states import TRANSITIONS, State, Step
from walkie_signal.core.transitions import state_after
from walkie_signal.errors import SignalingError

log = logging.getLogger("walkie_signal.redis")

WATCH_INTERVAL = 0.25
"""Seconds between two checks of the requests that wait for an answer."""

RESTORE_TIMEOUT = 10.0
"""Seconds to make everything right again; within it, each single answer has `REPLY_TIMEOUT`."""

FIRST_DELAY = 0.2
"""Most seconds before the first try after a loss; each node waits a random part of it."""

DELAY = 1.0
"""Most seconds before each later try; the least are half of it."""

CANCEL_INTERVAL = 0.1
"""Seconds after which a task that was cancelled and goes on is cancelled again."""

SILENT = "it does not answer"

NONE = NoWire()

CHANGED = ("NOSCRIPT", "READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN")
"""The beginnings of errors of a Redis that has changed since we connected."""


class Uplink:
    """The two connections of one node.

    Args:
        url: The URL of the Redis server.
        node: The node.

    Attributes:
        state: Its state, which is a step of `TRANSITIONS` behind the last one.
        up: Whether that is `UP`, so that requests are taken; each signal asks this.
        asking: The connection for requests.
        listening: The connection for what is published.
    """

    def __init__(self, url: str, node: Node) -> None:
        self._server = Server(url)
        self.address = self._server.address
        self.state = State.AWAY
        self.up = False
        self._lifetime = node.lifetime
        self._restore = node.restore
        self._down = node.down
        self._pairs = Pairs(self._server, node.lifetime, node.hear, self.lose)
        self.asking: Wire | NoWire = NONE
        self.listening: Wire | NoWire = NONE
        self._scripts_kept = False
        self._lost: asyncio.Event
        self._running: asyncio.Task[None] | None = None
        self._why = ""
        self._outage = Outage(str(self.address))
        self._fault = ""

    @property
    def name(self) -> str:
        """The name of the store in the command's output and in the log."""
        return f"Redis at {self.address}"

    # Its life

    async def start(self, within: float) -> None:
        """Connect; returns once the uplink is up. After `within` seconds it returns too, and goes on trying."""
        self._lost = asyncio.Event()  # it belongs to the event loop of the start
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
        """Give up the connections, and connect again."""
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
            except (
                OSError,
                asyncio.TimeoutError,
                hiredis.HiredisError,
                RefusedError,
                SignalingError,
            ) as error:
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

    def _change_state(self, step: Step) -> None:
        self.state = state_after(TRANSITIONS, self.state, step)
        self.up = self.state is State.UP

    async def _connect(self) -> None:
        self._change_state(Step.CONNECT)
        self._lost.clear()
        self._why = ""
        await self._server.find()
        self.asking, self.listening = asking, _ = await self._pairs.open()
        self._watch_soon(asking)
        self._scripts_kept = await self._pairs.prepare(asking)
        self._go_on(Step.RESTORE)

    def _go_on(self, step: Step) -> None:
        if self.state is State.AWAY:  # meanwhile it was given up
            raise Lost(self._why)
        self._change_state(step)

    async def _restored(self) -> None:
        """Restore, and fail if a connection is lost meanwhile."""
        restoring = asyncio.create_task(self._rise())
        losing = asyncio.create_task(self._lost.wait())
        try:
            await asyncio.wait({restoring, losing}, return_when=asyncio.FIRST_COMPLETED)
            if not restoring.done():
                raise Lost(self._why)
            await restoring
        finally:
            losing.cancel()
            await _end(restoring)

    async def _rise(self) -> None:
        await self._restore()
        self._go_on(Step.RISE)

    def _watch_soon(self, wire: Wire) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(WATCH_INTERVAL, self._watch, wire, loop.time() + WATCH_INTERVAL)

    def _watch(self, wire: Wire, due: float) -> None:
        """Check whether Redis answers."""
        if wire is not self.asking:
            return
        now, since = asyncio.get_running_loop().time(), wire.waiting_since()
        # If this process stood still, the answer may have arrived without being read
        late = now - due > WATCH_INTERVAL
        if since is not None and not late and now - since > REPLY_TIMEOUT - WATCH_INTERVAL:
            self.lose(SILENT)
            self._give_up()
        else:
            self._watch_soon(wire)

    def _give_up(self) -> None:
        self._lost.set()
        self._change_state(Step.GIVE_UP)
        wires = (self.asking, self.listening)
        self.asking = self.listening = NONE
        for wire in wires:
            wire.abort()
        self._down()

    # What is asked

    def check(self) -> None:
        """Do nothing while requests are taken.

        Raises:
            SignalingError: ``unavailable`` while they are not.
        """
        if asyncio.get_running_loop().time() > self._lifetime.until:
            self._lifetime.tick()
        if not self.up:
            raise unavailable()

    def post(self, request: bytes, answer: Answer) -> None:
        """Send a packed request; see `Wire.post`."""
        self.asking.post(request, answer)

    def ask(self, *parts: str | bytes | int) -> asyncio.Future[Any]:
        """Send a request; see `Wire.ask`."""
        return self.asking.ask(*parts)

    def run(self, script: Script, keys: list[str], *arguments: str | int) -> asyncio.Future[Any]:
        """Run a script; see `Wire.ask`."""
        how = ("EVALSHA", script.sha) if self._scripts_kept else ("EVAL", script.source)
        answer = self.ask(*how, len(keys), *keys, *arguments)
        answer.add_done_callback(self._look)
        return answer

    def _look(self, answer: asyncio.Future[Any]) -> None:
        """Connect again if Redis has changed its role, has forgotten the scripts, or refuses what it allowed."""
        error = None if answer.cancelled() else answer.exception()
        if isinstance(error, hiredis.ReplyError) and (
            text_of(error).startswith(CHANGED) or is_refusal(error)
        ):
            self.lose(words(error))


async def _end(task: asyncio.Future[None]) -> None:
    """Cancel a task, and ignore what it raises."""
    while not task.done():  # `wait_for` may swallow a cancellation before Python 3.12
        task.cancel()
        await asyncio.wait([task], timeout=CANCEL_INTERVAL)
    if not task.cancelled():
        task.exception()  # it may have failed at that moment, together with the connections
