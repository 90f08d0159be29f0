"""What Socket.IO keeps about a connection: one *socket* for each namespace, which is Socket.IO's own word.

A socket's states:

    JOINING   CONNECT has come, and the connect handler decides. What the server sends is held back, so that nothing
              overtakes the CONNECT. What the client sends is deferred, except the same CONNECT once more, because
              its answer is on the way.
    JOINED    Events go both ways. Another CONNECT starts again, because the client may not have seen the answer to
              the last one. After an event of the client, which shows that it has, another CONNECT is a violation.
    LEAVING   The disconnect handler runs; what still comes from the client is dropped.
    GONE      Nothing is left of the socket.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from walkie_signal.core.ports import TextHandler
from walkie_signal.errors import ProtocolViolation
from walkie_signal.transport.engineio.connection import Connection
from walkie_signal.wire.frames import CLOSE, Frame
from walkie_signal.wire.packets import CONNECT, DISCONNECT, Packet, Partial

MAX_DEFERRED = 1000
"""How many packets a client may send before its CONNECT is answered."""


class Deferred(NamedTuple):
    """A packet that waits as text: once parsed, it would take up to twenty times as much memory.

    Attributes:
        read: Parses it once more.
        size: Its size in bytes.
    """

    read: Callable[[], Packet]
    size: int


class State(enum.Enum):
    """The state of a socket."""

    JOINING = enum.auto()
    JOINED = enum.auto()
    LEAVING = enum.auto()
    GONE = enum.auto()


class Socket:
    """One connection's socket on one namespace."""

    __slots__ = (
        "_awaited", "deferred", "deferred_bytes", "handler", "held", "left", "namespace", "sid", "sockets", "spoke",
        "state",
    )  # fmt: skip

    def __init__(self, sockets: Sockets, namespace: str, auth: Any) -> None:
        self.sockets = sockets
        self.namespace = namespace
        self.sid = ""
        self.state, self.spoke = State.JOINING, False
        self.held: list[Frame] | None = []
        # The data of the CONNECT whose answer the client waits for
        self._awaited: tuple[Any] | None = (auth,)
        self.deferred: list[Deferred] = []
        self.deferred_bytes = 0
        self.handler: TextHandler | None = None
        self.left: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def send(self, frame: Frame) -> None:
        """Send a frame, or hold it back until the CONNECT is sent."""
        if self.held is None:
            self.sockets.connection.send(frame)
        elif len(self.held) < MAX_DEFERRED:
            self.held.append(frame)

    def send_all(self, frames: Sequence[Frame]) -> None:
        """Send frames, one after the other."""
        if self.held is None:
            self.sockets.connection.send_all(frames)
        else:
            self.held += frames[: MAX_DEFERRED - len(self.held)]

    def release(self) -> None:
        """Send what was held back, and hold nothing back from now on."""
        self._awaited = None
        held, self.held = self.held or [], None
        for frame in held:
            self.sockets.connection.send(frame)

    def defer(self, packet: Packet, deferred: Deferred, limit: int) -> None:
        """Keep a packet until the CONNECT is answered; drop a CONNECT that asks for that very answer.

        A stock client that connects, disconnects and connects in one tick sends two CONNECTs and no DISCONNECT.

        Raises:
            ProtocolViolation: The client has sent too much before the answer.
        """
        if packet.kind == CONNECT and self._awaited == (packet.data,):
            return
        if packet.kind in (CONNECT, DISCONNECT):
            self._awaited = (packet.data,) if packet.kind == CONNECT else None
        self.deferred_bytes += deferred.size
        if self.deferred_bytes > limit or len(self.deferred) >= MAX_DEFERRED:
            raise ProtocolViolation("too much before CONNECT is answered")
        self.deferred.append(deferred)

    def join(self) -> None:
        """Become joined: from now on the inline handler gets the events."""
        self.state = State.JOINED
        self.sockets.connection.owner.joined(self.sockets.connection)
        self.sockets.listen(self)

    def leave(self) -> None:
        """Stop hearing events."""
        if self.state is State.JOINED and not self.sockets.connection.closed:
            self.sockets.idle_since = asyncio.get_running_loop().time()
            self.sockets.connection.owner.watch(self.sockets.connection)
        self.state = State.LEAVING
        self.held = None
        self.sockets.listen(self)

    def go(self) -> None:
        """Remove what is left; a later CONNECT of the same namespace may wait for this."""
        self.state = State.GONE
        self.held = None
        self.sockets.remove(self)
        if not self.left.done():
            self.left.set_result(None)


class Sockets:
    """All sockets of one connection.

    Attributes:
        handling: How many events wait for their handlers to end.
        handling_bytes: The bytes of these events together.
        queue: Events that are handled one after the other, if the server does not use `async_handlers`.
        barred: Namespaces that the server has closed to this connection.
        refused: How many of its CONNECTs were refused.
        idle_since: The time since which nothing is joined, on the loop's clock.
    """

    __slots__ = (
        "_by_namespace", "_inline", "_partial", "barred", "connection", "handling", "handling_bytes",
        "idle_since", "queue", "refused",
    )  # fmt: skip

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._by_namespace: dict[str, Socket] = {}
        self._inline: dict[str, TextHandler] = {}
        self._partial: Partial | None = None
        self.handling = 0
        self.handling_bytes = 0
        self.queue: asyncio.Queue[tuple[Socket, Deferred]] | None = None
        self.barred: frozenset[str] = frozenset()
        self.refused = 0
        self.idle_since = asyncio.get_running_loop().time()

    def __iter__(self) -> list[Socket].__iter__:  # type: ignore[valid-type]
        return iter(list(self._by_namespace.values()))

    def get(self, namespace: str) -> Socket | None:
        """Return the socket on a namespace, if there is one."""
        return self._by_namespace.get(namespace)

    def add(self, namespace: str, auth: Any) -> Socket:
        """Make a socket on a namespace; it replaces one that is leaving."""
        socket = self._by_namespace[namespace] = Socket(self, namespace, auth)
        return socket

    def remove(self, socket: Socket) -> None:
        """Forget a socket, unless another one has replaced it."""
        if self._by_namespace.get(socket.namespace) is socket:
            del self._by_namespace[socket.namespace]

    @property
    def joined(self) -> bool:
        """Whether any namespace is joined; one that is being joined or was refused does not count."""
        return any(s.state is State.JOINED for s in self._by_namespace.values())

    @property
    def busy(self) -> bool:
        """Whether any namespace is joined, or being joined."""
        return any(s.state in (State.JOINING, State.JOINED) for s in self._by_namespace.values())

    def listen(self, socket: Socket) -> None:
        """Call a socket's inline handler for its events, while it is joined."""
        if socket.state is State.JOINED and socket.handler is not None:
            handler = socket.handler if socket.spoke else partial(self._hear_first, socket, socket.handler)
            self._inline[socket.namespace] = handler
        elif self._by_namespace.get(socket.namespace) is socket:
            self._inline.pop(socket.namespace, None)
        self._listen()

    def _hear_first(self, socket: Socket, handler: TextHandler, text: str) -> bool:
        """Take the first event, and spare the others this detour."""
        taken = handler(text)
        if taken and not socket.spoke:
            socket.spoke = True
            self.listen(socket)
        return taken

    def _listen(self) -> None:
        """Give each message to the inline handlers, except while attachments are expected."""
        handlers = list(self._inline.values()) if self._partial is None else []
        if len(handlers) > 1:
            self.connection.hear(lambda text: any(handler(text) for handler in handlers))
        else:
            self.connection.hear(handlers[0] if handlers else None)

    @property
    def partial(self) -> Partial | None:
        """The binary packet whose attachments have not all come yet."""
        return self._partial

    @partial.setter
    def partial(self, partial: Partial | None) -> None:
        self._partial = partial
        self._listen()


class SocketLink:
    """A `walkie_signal.core.ports.Link` to one socket."""

    __slots__ = ("_socket",)

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    def send(self, text: str) -> None:
        """Send a text."""
        socket = self._socket
        if socket.held is not None:
            socket.send(text)
        elif (connection := socket.sockets.connection).is_open:
            connection.push(text)

    def send_all(self, texts: Sequence[str]) -> None:
        """Send texts."""
        self._socket.send_all(texts)

    def send_latest(self, key: str, text: str) -> None:
        """Send a text, and drop the outdated one with the same key if it still waits."""
        if self._socket.held is not None:
            self._socket.send(text)
        else:
            self._socket.sockets.connection.send_latest(key, text)

    def close(self, *, for_good: bool) -> None:
        """Close the transport."""
        socket = self._socket
        if socket.held is not None:
            socket.release()
        connection = socket.sockets.connection
        farewell = CLOSE if for_good else None
        connection.close(connection.owner.reason.SERVER_DISCONNECT, farewell=farewell)

    def __str__(self) -> str:
        return str(self._socket.sockets.connection)

    def listen(self, handler: TextHandler) -> None:
        """Give `handler` the text of each event of this socket first."""
        self._socket.handler = handler
        self._socket.sockets.listen(self._socket)


class DeadLink:
    """A link to a connection that is gone."""

    __slots__ = ()

    def __str__(self) -> str:
        return "gone"

    def send(self, text: str) -> None:
        """Do nothing."""

    def send_all(self, texts: Sequence[str]) -> None:
        """Do nothing."""

    def send_latest(self, key: str, text: str) -> None:
        """Do nothing."""

    def close(self, *, for_good: bool) -> None:
        """Do nothing."""

    def listen(self, handler: TextHandler) -> None:
        """Do nothing."""
