"""The way to another node: by its socket, or else by the store's channel.

It is chosen once, by the first message, which waits for the choice with those behind it: so messages arrive in
order. When a way ends, the next message chooses again; what was lost with it is counted at the other end, by the
numbers that messages bear.

A signal never waits for a node that reads slowly: a socket refuses it when too much is unsent. What the host emits
does wait, before it gets its number, so a way says whether it has room for it (`Backlogs`). A socket knows what is
unsent; by the store's channel, the other node says now and then up to where it has read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from walkie_signal.backends.base import Done
from walkie_signal.backends.shared.mesh_ends import Outgoing

MOST_UNREAD = 1024 * 1024
"""Characters that may be unread by the store's channel before what can wait does so. By its default, Redis cuts off
a node for which 32 MB wait, and many nodes may send to that one."""

MARKED = MOST_UNREAD // 4
"""Characters after which the other node is asked to say that it has read them."""

Answer = Callable[[Any], None]
"""Takes how many nodes were reached, or an exception."""

Send = Callable[[str, Answer], None]
"""Sends a message by the store's channel."""


class Way:
    """The way to one node.

    Args:
        path: Where the node listens, if it is on this machine; ``None`` if this node has no mesh.
        store: Sends a message by the store's channel.
        sent: How many messages were sent on the ways before this one.
        goes_on: Called when there is room again, and when the way has ended, so that the next one may have some.
        mark: Writes a message that asks the other node for a word with that number, which `read` is to get.

    Attributes:
        sent: How many messages were sent to the node so far.
        ended: Whether the node can't be reached by this way any more, so that the next message needs another one.
        has_room: Whether what can wait need not wait.
        counts: Whether it is the store's channel, so that what can wait is counted.
    """

    def __init__(
        self,
        path: Path | None,
        store: Send,
        sent: int,
        *,
        goes_on: Callable[[], None],
        mark: Callable[[int], str],
    ) -> None:
        self.sent = sent
        self.ended = False
        self.has_room = self.counts = path is None
        self._store = store
        self._goes_on = goes_on
        self._mark = mark
        self._size = self._marked = self._read = 0
        self._marks: dict[int, int] = {}
        self._waiting: list[tuple[str, Done]] | None = None
        self._link: Outgoing | None = None
        if path is not None:
            self._waiting = []
            self._choosing = asyncio.get_running_loop().create_task(self._choose(path))

    async def _choose(self, path: Path) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            _, self._link = await loop.create_unix_connection(
                partial(Outgoing, self._set_room, self._end), str(path)
            )
        if self.ended:
            self.close()
        waiting, self._waiting = self._waiting, None
        self.has_room, self.counts = True, self._link is None
        for message, done in waiting or ():
            self.send(message, done)
        if self.has_room:
            self._goes_on()

    def send(self, message: str, done: Done) -> None:
        """Send a message; `done` is told whether the node was reached, as far as that can be known."""
        if self._link is not None:
            reached = self._link.send(message)
            if not reached:
                self.sent -= 1  # the next message follows the last one that was sent
            done(reached)
        elif self._waiting is not None:
            self._waiting.append((message, done))
        elif self.ended:
            done(False)  # noqa: FBT003 - see `Done`
        else:
            self._store(message, partial(self._answered, done))

    def count(self, message: str) -> None:
        """Count a message that can wait and was sent by the store's channel."""
        self._size += len(message)
        if self._size - self._marked > MARKED:
            self._marked = self._size
            self._marks[self.sent] = self._size
            self._store(self._mark(self.sent), _ignore)
        self.has_room = self._size - self._read <= MOST_UNREAD

    def _answered(self, done: Done, answer: Any) -> None:
        reached = isinstance(answer, int) and answer > 0
        if not reached:
            self._end()
        done(reached)

    def read(self, number: int) -> None:
        """Record that the other node has read up to a mark."""
        self._read = self._marks.pop(number, self._read)
        if not self.has_room and self._size - self._read <= MOST_UNREAD:
            self._set_room(True)  # noqa: FBT003 - as an end calls it

    def give_up(self) -> None:
        """End the way if it may lack room only because the other node's word about it was lost."""
        if self._marks:
            self._end()

    def _set_room(self, has_room: bool) -> None:  # noqa: FBT001 - an end calls it
        self.has_room = has_room
        if has_room:
            self._goes_on()

    def _end(self) -> None:
        if not self.ended:
            self.ended = True
            self._goes_on()

    def close(self) -> None:
        """End the way, after what was sent; messages that wait for the choice are answered as not sent."""
        self._end()
        if self._link is not None:
            self._link.close()


def _ignore(_answer: object) -> None:
    """Do nothing: whether a mark has come shows by the word of the other node."""
