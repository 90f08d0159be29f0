"""The mesh: messages from node to node of one machine, by Unix sockets and past the store.

Each node listens on a socket that bears its id, in a folder that the nodes of its store on this machine share.
A message is sent that way to whoever listens there, and else by the store's channel. The way to a node is chosen
once, by the first message, which waits for the choice with those behind it: so messages arrive in order. When a
way ends, the next message chooses again; what was lost with it is counted at the other end, by the numbers that
messages bear.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from walkie_signal.backends.base import Done
from walkie_signal.backends.shared.incarnation import Incarnation
from walkie_signal.backends.shared.lifetime import Lifetime
from walkie_signal.bounded_log import BoundedLog
from walkie_signal.forks import keep_from_forks
from walkie_signal.runtime_folder import UnusableError
from walkie_signal.unix_sockets import fileno_of, is_ours, listener_at, remove_left

log = logging.getLogger("walkie_signal.store")

LENGTH = 4
"""Bytes of the length of a message."""

MOST_BYTES = 4 * 1024 * 1024
"""The most that a message may have; a signal has less than `max_http_buffer_size`."""

MOST_UNSENT = 8 * 1024 * 1024
"""Bytes that may wait for a node that does not read; what comes then is answered as if it could not be reached."""

Answer = Callable[[Any], None]
"""Takes how many nodes were reached, or an exception."""

Hear = Callable[[bytes], None]
"""Takes a message."""

Send = Callable[[str, Answer], None]
"""Sends a message by the store's channel."""


class Way:
    """The way to one node.

    Args:
        path: Where the node listens, if it is on this machine; ``None`` if this node has no mesh.
        store: Sends a message by the store's channel.
        sent: How many messages were sent on the ways before this one.

    Attributes:
        sent: How many messages were sent to the node so far.
        ended: Whether the node can't be reached by this way any more, so that the next message needs another one.
    """

    def __init__(self, path: Path | None, store: Send, sent: int) -> None:
        self.sent = sent
        self.ended = False
        self._store = store
        self._waiting: list[tuple[str, Done]] | None = None
        self._link: _Outgoing | None = None
        if path is not None:
            self._waiting = []
            self._choosing = asyncio.get_running_loop().create_task(self._choose(path))

    async def _choose(self, path: Path) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            _, self._link = await loop.create_unix_connection(partial(_Outgoing, self._end), str(path))
        if self.ended:
            self.close()
        waiting, self._waiting = self._waiting, None
        for message, done in waiting or ():
            self.send(message, done)

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

    def _answered(self, done: Done, answer: Any) -> None:
        reached = isinstance(answer, int) and answer > 0
        if not reached:
            self._end()
        done(reached)

    def _end(self) -> None:
        self.ended = True

    def close(self) -> None:
        """End the way, after what was sent; messages that wait for the choice are answered as not sent."""
        self._end()
        if self._link is not None:
            self._link.close()


class Mesh:
    """The mesh as one node sees it.

    Args:
        folder: Returns the folder of the sockets, and makes it if there is none. Raises `UnusableError`.
            ``None`` if there is to be no mesh.
        incarnation: This node.
        lifetime: How long this process may go on as that node; after it, nothing is heard.
    """

    def __init__(
        self, folder: Callable[[], Path] | None, incarnation: Incarnation, lifetime: Lifetime
    ) -> None:
        self._folder = folder
        self._incarnation = incarnation
        self._lifetime = lifetime
        self._lines = BoundedLog(log)
        self._where: Path | None = None
        self._node = ""
        self._server: asyncio.AbstractServer | None = None
        self._ends: set[_Incoming] = set()

    async def open(self, hear: Hear) -> None:
        """Listen as the node of now; without a folder, all messages go by the store's channel."""
        path = None if self._where is None else self._path(self._where, self._node)
        if self._folder is None or (
            self._node == self._incarnation.id and path is not None and path.exists()
        ):
            return
        if self._node != self._incarnation.id:
            self.cut()
        self._listen_no_more()
        try:
            where = self._folder()
            remove_left(where, "?" * len(self._incarnation.id) + ".sock")
            listener = listener_at(self._path(where, self._incarnation.id))
        except (OSError, UnusableError) as error:
            message = "signals to other nodes only go through the store: %s"
            self._lines.write(logging.WARNING, "no sockets between nodes", message, error)
            return
        # Whoever closes this while it starts has to find it
        self._server = await asyncio.get_running_loop().create_unix_server(
            lambda: _Incoming(self._lifetime, hear, self._ends), sock=listener, start_serving=False
        )
        self._where, self._node = where, self._incarnation.id
        await self._server.start_serving()

    def close(self) -> None:
        """Listen no more, and hear no more."""
        self._listen_no_more()
        self.cut()

    def _listen_no_more(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            self.forget(self._node)
            if self._where is not None:
                with suppress(OSError):  # others are in it
                    self._where.rmdir()
            self._where = None

    def forget(self, node: str) -> None:
        """Remove what a dead node has left behind."""
        if self._where is not None:
            with suppress(OSError):
                self._path(self._where, node).unlink()

    def cut(self) -> None:
        """Hear no more of what was sent until now."""
        for end in list(self._ends):
            end.abort()

    def way(self, node: str, store: Send, sent: int) -> Way:
        """Return another way to a node; see `Way`."""
        return Way(None if self._where is None else self._path(self._where, node), store, sent)

    @staticmethod
    def _path(where: Path, node: str) -> Path:
        return where / f"{node}.sock"


class _Outgoing(asyncio.Protocol):
    """The end of a connection that sends.

    Args:
        lost: Called when the connection has ended.
    """

    def __init__(self, lost: Callable[[], None]) -> None:
        self._lost = lost
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        keep_from_forks(self)
        if not is_ours(transport.get_extra_info("socket")):
            transport.abort()  # type: ignore[attr-defined]  # it is a socket's

    def fileno(self) -> int:
        return fileno_of(self._transport)

    def send(self, message: str) -> bool:
        """Send a message; returns false if the node is gone, or does not read."""
        if self._transport.is_closing() or self._transport.get_write_buffer_size() > MOST_UNSENT:
            return False
        data = message.encode()
        self._transport.write(len(data).to_bytes(LENGTH, "big") + data)
        return True

    def close(self) -> None:
        """End the connection, after what was sent."""
        self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - as the base class
        self._lost()


class _Incoming(asyncio.Protocol):
    """The end of a connection that hears."""

    def __init__(self, lifetime: Lifetime, hear: Hear, ends: set[_Incoming]) -> None:
        self._lifetime = lifetime
        self._hear = hear
        self._ends = ends
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._data = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        keep_from_forks(self)
        self._ends.add(self)
        if not is_ours(transport.get_extra_info("socket")):
            self.abort()

    def fileno(self) -> int:
        return fileno_of(self._transport)

    def data_received(self, data: bytes) -> None:
        if self._loop.time() > self._lifetime.until:
            self._lifetime.tick()
        if self._transport.is_closing():  # this node has become another one, which is not meant
            return
        if not self._data and int.from_bytes(data[:LENGTH], "big") == len(data) - LENGTH:
            self._hear(data[LENGTH:])  # one whole message, as most are
            return
        self._data += data
        begin, have = 0, len(self._data)
        while not self._transport.is_closing() and (start := begin + LENGTH) <= have:
            end = start + int.from_bytes(self._data[begin:start], "big")
            if end - start > MOST_BYTES:
                self.abort()
            if end > have:
                break
            begin = end
            self._hear(bytes(self._data[start:end]))
        del self._data[:begin]

    def abort(self) -> None:
        """End the connection at once."""
        self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - as the base class
        self._ends.discard(self)
