"""What the namespace and the transport know about one another.

The namespace speaks to a peer through a `Link`; the transport offers one for each connection. What concerns all
connections of a server is its `Transport`. Neither side imports the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from walkie_signal.core.emits import Emit, Order, Reply
from walkie_signal.wire.frames import Frame

TextHandler = Callable[[str], bool]
"""Takes the text of any frame, such as ``42["signal",{…}]``.

Returns whether it has dealt with the frame. If not, for example if the frame belongs to another namespace, the
frame goes the ordinary way. It runs inside the connection's receiving loop, so it never blocks. It only raises
`walkie_signal.errors.ProtocolViolation`, which closes the connection.
"""


class Link(Protocol):
    """One connection, as the namespace sees it."""

    def send(self, text: str) -> None:
        """Queue the text of a frame, behind all frames that were queued before.

        It returns at once and never raises. If the connection is gone, it does nothing.
        """

    def send_all(self, texts: Sequence[str]) -> None:
        """Queue texts as `send` does each of them; where that can be done, they are written at once."""

    def send_latest(self, key: str, text: str) -> None:
        """Queue a text as `send` does, and drop the earlier text with the same key if it still waits."""

    def close(self, *, for_good: bool) -> None:
        """Close the transport after what was queued before, or at once if that can't be written.

        If `for_good`, a DISCONNECT was queued, after which a stock client stays away; otherwise it comes back.
        It returns at once. The disconnect of the connection follows, as after any other end.
        """

    def listen(self, handler: TextHandler) -> None:
        """Give `handler` the text of each message of this connection first, in order of arrival."""


class Audience(Protocol):
    """The clients of a server of the host's, as those see them who bring emits of other nodes."""

    def hear(self, emit: Emit, reply: Reply) -> None:
        """Send an event to those that it is for; `reply` takes each answer, if somebody waits for it."""

    def answer(self, callback: int, frames: tuple[Frame, ...], *, is_last: bool) -> None:
        """Take the answer of a client on another node, and forget who waits for it if it is the last one."""

    async def carry_out(self, order: Order) -> bool:
        """Carry out an order about a client here; returns whether there is one."""

    def close(self, namespace: str, room: Any) -> None:
        """Let everybody here leave a room."""


class OtherNodes(Protocol):
    """The other nodes of the service, as the host's server sees them."""

    @property
    def exist(self) -> bool:
        """Whether there may be any."""

    def serve(self, audience: Audience) -> None:
        """Give `audience` what is emitted on other nodes."""

    def enter(self, namespace: str, room: Any) -> None:
        """Record that somebody here is in a room of the host's; ``None`` is the room of everybody."""

    def quit(self, namespace: str, room: Any) -> None:
        """Record that nobody here is in a room of the host's any more."""

    async def entered(self, namespace: str, room: Any) -> None:
        """Wait until other nodes know what was recorded of a room, but not for long."""

    async def emit(self, emit: Emit) -> None:
        """Send an event to the other nodes with somebody in its rooms; returns once it was handed over.

        Raises:
            UnreadError: A node has not read for so long that it could not be handed over; others were sent it.
            SignalingError: ``unavailable``: it can't be found out now who is in the rooms.
            ValueError: The event has more bytes than a message between nodes may have.
        """

    async def close_room(self, namespace: str, room: Any) -> None:
        """Let everybody on other nodes leave a room of the host's.

        Raises:
            SignalingError: ``unavailable``, or as for `emit`.
            ValueError: The room is the own one of a client on another node.
        """

    async def has(self, sid: str) -> bool:
        """Tell whether a client is on another node.

        Raises:
            SignalingError: ``unavailable``.
        """

    async def order(self, order: Order) -> bool:
        """Let the node of a client carry out an order; returns whether there is such a client on another node.

        Raises:
            SignalingError: ``unavailable``: that node can't be reached.
            TimeoutError: It has not answered in time; it may still carry out the order.
            ValueError: The client's node refuses it, with a reason.
            RuntimeError: There was a fault in it, which the log of that node shows.
        """

    def present(self, sid: str) -> None:
        """Record that a client is here."""

    def absent(self, sid: str) -> None:
        """Record that a client is not here any more."""


@runtime_checkable
class Transport(Protocol):
    """The connections of one server, as those see them who build on it.

    `walkie_signal.transport` has one; `walkie_signal.namespace.stock` has one for a stock server, which can do less
    and leaves out what it can't do.

    Attributes:
        is_strict: Whether nothing that comes on a closed connection reaches a handler.
    """

    is_strict: bool

    @property
    def lets_any_page_in(self) -> bool:
        """Whether a web page of any origin may connect."""

    def link(self, eio_sid: str, namespace: str) -> Link:
        """Return the link to a peer, by the sid of its connection."""

    def serve(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        """Serve an ASGI request, HTTP or WebSocket."""

    def before_parting(self, namespace: str, farewell: Callable[[str], None]) -> None:
        """Call `farewell` with a peer's sid before its connection closes because a process ends."""

    def reach(self, others: OtherNodes, namespace: str) -> None:
        """Let the host's emits reach clients on other nodes; those of `namespace` are recorded already."""

    def keep_headers(self, names: frozenset[bytes]) -> None:
        """Let connections keep only these headers of their handshake; without this call they keep all."""

    def share_requests(self) -> None:
        """Hand requests over to the worker process that holds their session, from the next session on."""

    def hand_back(self) -> None:
        """Let other workers close their connections that are carried here, because this worker will end."""

    async def hang_up(self, within: float) -> None:
        """Close all connections so that peers come back; polling ones have `within` seconds to fetch what waits."""

    async def close(self) -> None:
        """Wait until the ends of connections have been told, and take no more requests of other workers."""
