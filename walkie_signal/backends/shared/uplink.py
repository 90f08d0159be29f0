"""A node's way to the store, and its life.

Whatever connections a way has, they live and die together: if one ends or does not answer, all are opened anew, and
everything is made right on them before requests are taken. The state only changes by a step in
`uplink_states.TRANSITIONS`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from walkie_signal.backends.shared.incarnation import Incarnation
from walkie_signal.backends.shared.lifetime import Lifetime
from walkie_signal.backends.shared.outage import Outage
from walkie_signal.backends.shared.store import LostError, StoreError
from walkie_signal.backends.shared.uplink_states import TRANSITIONS, State, Step
from walkie_signal.core.transitions import state_after
from walkie_signal.errors import SignalingError

log = logging.getLogger("walkie_signal.store")

REPLY_TIMEOUT = 1.5
"""Seconds for an answer; after that the connections are given up, and waiting requests fail as `unavailable`."""

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


class Node(NamedTuple):
    """What a way to a store and the store itself know of the node.

    Attributes:
        incarnation: Which node it is.
        lifetime: How long this process may go on as that node.
        restore: Makes everything right on new connections; requests are taken once it has.
        hear: Takes a channel and what was published on it.
        risen: Called when the uplink is up.
        down: Called when the uplink was up, or about to be, and is not any more.
    """

    incarnation: Incarnation
    lifetime: Lifetime
    restore: Callable[[], Awaitable[None]]
    hear: Callable[[bytes, bytes], None]
    risen: Callable[[], None]
    down: Callable[[], None]


class Uplink(ABC):
    """The way of one node to a store; each kind of store has its own connections.

    Args:
        name: The name of the store in the command's output and in the log.
        node: The node.

    Attributes:
        name: As given.
        state: Its state, which is a step of `TRANSITIONS` behind the last one.
        up: Whether that is `UP`, so that requests are taken; each signal asks this.
    """

    failures: tuple[type[Exception], ...] = (OSError, asyncio.TimeoutError, StoreError, SignalingError)
    """What a try to connect may fail with; anything else is a fault of ours."""

    first_delay = FIRST_DELAY
    """Most seconds before the first try after a loss."""

    def __init__(self, name: str, node: Node) -> None:
        self.name = name
        self.state = State.AWAY
        self.up = False
        self._lifetime = node.lifetime
        self._restore = node.restore
        self._risen = node.risen
        self._down = node.down
        self._lost: asyncio.Event
        self._running: asyncio.Task[None] | None = None
        self._why = ""
        self._outage = Outage(name)
        self._fault = ""

    # What each kind has of its own

    @abstractmethod
    async def _open(self) -> None:
        """Open the connections; raises one of `failures`."""

    @abstractmethod
    def _abort(self) -> None:
        """End the connections at once."""

    @abstractmethod
    def _waiting_since(self) -> float | None:
        """Return when the oldest unanswered request was sent, on the loop's clock; ``None`` if there is none."""

    def _shun(self) -> None:  # noqa: B027 - not every kind of store has several places to reach it
        """Record that what was reached can't be used now."""

    def _where(self) -> str:
        """Return the log's words for where the connections lead; empty if the name says it all."""
        return ""

    def _words(self, error: Exception) -> str:
        """Return the log's words for a failure."""
        return str(error)

    # Its life

    async def start(self, within: float) -> None:
        """Connect; returns once the uplink is up. After `within` seconds it returns too, and goes on trying."""
        self._lost = asyncio.Event()  # it belongs to the event loop of the start
        first = asyncio.get_running_loop().create_future()
        self._running = asyncio.create_task(self._run(first))
        await asyncio.wait([first], timeout=within)
        first.cancel()

    async def close(self) -> None:
        """End the connections."""
        if self._running is not None:
            await _end(self._running)
            self._running = None

    def lose(self, why: str) -> None:
        """Give up the connections, and connect again."""
        if not self._lost.is_set():
            self._why = why
            self._lost.set()

    def check(self) -> None:
        """Do nothing while requests are taken.

        Raises:
            SignalingError: ``unavailable`` while they are not.
        """
        if asyncio.get_running_loop().time() > self._lifetime.until:
            self._lifetime.tick()
        if not self.up:
            raise unavailable()

    async def _run(self, first: asyncio.Future[None]) -> None:
        delay = self.first_delay
        while True:
            try:
                await self._connect()
                await asyncio.wait_for(self._restored(), RESTORE_TIMEOUT)
                self._outage.end(self._where())
                delay, self._fault = self.first_delay, ""
                if not first.done():
                    first.set_result(None)
                await self._lost.wait()
                self._outage.begin(self._why)
            except self.failures as error:
                self._shun()
                self._outage.failed(self._words(error) or self._why or SILENT)
            except Exception as error:
                self._shun()
                if repr(error) != self._fault:
                    self._fault = repr(error)
                    log.exception("%s: a fault of ours", self.name)
            finally:
                self._give_up()
            await asyncio.sleep(random.uniform(delay / 2 if delay == DELAY else 0, delay))  # noqa: S311
            delay = DELAY

    def _change_state(self, step: Step) -> None:
        self.state = state_after(TRANSITIONS, self.state, step)
        self.up = self.state is State.UP

    async def _connect(self) -> None:
        self._change_state(Step.CONNECT)
        self._lost.clear()
        self._why = ""
        await self._open()
        self._go_on(Step.RESTORE)

    def _go_on(self, step: Step) -> None:
        if self.state is State.AWAY:  # meanwhile it was given up
            raise LostError(self._why)
        self._change_state(step)

    async def _restored(self) -> None:
        """Restore, and fail if a connection is lost meanwhile."""
        restoring = asyncio.create_task(self._rise())
        losing = asyncio.create_task(self._lost.wait())
        try:
            await asyncio.wait({restoring, losing}, return_when=asyncio.FIRST_COMPLETED)
            if not restoring.done():
                raise LostError(self._why)
            await restoring
        finally:
            losing.cancel()
            await _end(restoring)

    async def _rise(self) -> None:
        await self._restore()
        self._go_on(Step.RISE)
        self._risen()

    def _watch(self) -> None:
        """From now on, until these connections end, check whether they answer."""
        loop = asyncio.get_running_loop()
        loop.call_later(WATCH_INTERVAL, self._look, self._connections, loop.time() + WATCH_INTERVAL)

    @property
    @abstractmethod
    def _connections(self) -> object:
        """What there is another of after each opening."""

    def _look(self, watched: object, due: float) -> None:
        if watched is not self._connections:
            return
        now, since = asyncio.get_running_loop().time(), self._waiting_since()
        # If this process stood still, the answer may have arrived without being read
        late = now - due > WATCH_INTERVAL
        if since is not None and not late and now - since > REPLY_TIMEOUT - WATCH_INTERVAL:
            self.lose(SILENT)
            self._give_up()
        else:
            self._watch()

    def _give_up(self) -> None:
        self._lost.set()
        self._change_state(Step.GIVE_UP)
        self._abort()
        self._down()


async def _end(task: asyncio.Future[None]) -> None:
    """Cancel a task, and ignore what it raises."""
    while not task.done():  # `wait_for` may swallow a cancellation before Python 3.12
        task.cancel()
        await asyncio.wait([task], timeout=CANCEL_INTERVAL)
    if not task.cancelled():
        task.exception()  # it may have failed at that moment, together with the connections


def unavailable() -> SignalingError:
    """Return the error for requests that can't be carried out while the store is away."""
    later = round(random.uniform(500, 2000))  # noqa: S311
    return SignalingError("unavailable", "the service is cut off; try again", retryAfterMs=later)
