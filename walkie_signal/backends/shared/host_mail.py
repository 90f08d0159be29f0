"""What the nodes tell one another for the host's server, each message to the nodes that it concerns alone.

    emit      an event for the clients in rooms            reply    a client's answer to one
    order     what a client's node is to do with it        done     whether there was such a client, or why not
    close     everybody leaves a room

All of it goes by the mail of a node, so it arrives in the order in which it was sent, and what is lost is counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from itertools import count
from typing import Any

from walkie_signal.backends.shared import mesh_ends
from walkie_signal.backends.shared.backlogs import PATIENCE, Handed
from walkie_signal.backends.shared.host_rooms import HostRooms
from walkie_signal.backends.shared.in_order import InOrder
from walkie_signal.backends.shared.incarnation import Incarnation
from walkie_signal.backends.shared.messages import HostMessage, write_host_body
from walkie_signal.backends.shared.store import Failed
from walkie_signal.backends.shared.uplink import unavailable
from walkie_signal.bounded_log import BoundedLog
from walkie_signal.core.emits import Emit, Order
from walkie_signal.core.ports import Audience
from walkie_signal.errors import UnreadError
from walkie_signal.wire.frames import Frame

log = logging.getLogger("walkie_signal.store")

ORDER_TIMEOUT = 2.0
"""Seconds that an order waits for the word of the client's node."""

MOST_BYTES = mesh_ends.MOST_BYTES - 1024
"""The most that the body of a message may have; the rest is for what stands before it."""

LONGEST_CHARACTER = 4
"""Bytes of the longest character in UTF-8."""

Send = Callable[[str, str, Handed], None]
"""Sends a node the body of a message, once there is room."""


class HostMail:
    """What one node tells others, and hears from them, for the host's server.

    Args:
        rooms: Where clients are.
        incarnation: This node.
        send: Sends a message.
        audience: The clients here; ``None`` if no server of ours has offered any.
    """

    def __init__(
        self, rooms: HostRooms, incarnation: Incarnation, send: Send, audience: Audience | None
    ) -> None:
        self._rooms = rooms
        self._incarnation = incarnation
        self._send = send
        self._audience = audience
        self._lines = BoundedLog(log)
        self._asking: dict[str, InOrder] = {}
        self._numbers = count(1)
        self._ordered: dict[int, asyncio.Future[bool]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # Out

    async def emit(self, emit: Emit) -> None:
        """Send an event to each other node that has somebody for it; see `OtherNodes.emit`."""
        nodes = await self._nodes_of(emit.namespace, emit.rooms)
        if nodes:
            head = [emit.namespace, emit.rooms, emit.skipped, emit.callback]
            await self._post(nodes, write_host_body("emit", head, emit.frames))

    async def close_room(self, namespace: str, room: Any) -> None:
        """Let everybody on other nodes leave a room; see `OtherNodes.close_room`."""
        if isinstance(room, str) and await self.has(room):
            raise ValueError(f"{room} is a client's sid")
        nodes = await self._nodes_of(namespace, (room,))
        await self._post(nodes, write_host_body("close", [namespace, room]))

    async def has(self, sid: str) -> bool:
        """Tell whether a client is on another node; see `OtherNodes.has`."""
        return await self._node_of(sid) not in (None, self._incarnation.id)

    async def order(self, order: Order) -> bool:
        """Let the node of a client carry out an order; see `OtherNodes.order`."""
        node = await self._node_of(order.sid)
        if node in (None, self._incarnation.id):
            return False
        number = next(self._numbers)
        answer = self._ordered[number] = asyncio.get_running_loop().create_future()

        def handed_over(reached: bool | None) -> None:  # noqa: FBT001 - see `Handed`
            if not reached and not answer.done():
                answer.set_exception(unavailable())

        try:
            self._send(node, write_host_body("order", [number, *order]), handed_over)
            return await asyncio.wait_for(answer, ORDER_TIMEOUT)
        except asyncio.TimeoutError:
            raise TimeoutError(f"the node of {order.sid} has not answered in time") from None
        finally:
            del self._ordered[number]

    async def _nodes_of(self, namespace: str, rooms: Iterable[Any]) -> list[str]:
        """Return the nodes that something is for; who asks first is answered first, and sends before it waits.

        Nobody waits for the questions of another namespace, nor does who has nobody to reach.
        """
        try:
            known = self._rooms.known_nodes(namespace, rooms)
            if known is None or (known and namespace in self._asking):
                line = self._asking.setdefault(namespace, InOrder())
                try:
                    known = await line.wait(self._rooms.nodes_of(namespace, rooms))
                finally:
                    if line.is_empty:
                        self._asking.pop(namespace, None)
        except Failed:
            raise unavailable() from None
        return known

    async def _node_of(self, sid: str) -> str | None:
        try:
            return await self._rooms.node_of(sid)
        except Failed:
            raise unavailable() from None

    async def _post(self, nodes: Sequence[str], body: str) -> None:
        """Send nodes a message, and wait until it was handed over: a loop that emits for ever fills no memory.

        Raises:
            ValueError: It has more bytes than a message may have.
            UnreadError: A node has not read for `PATIENCE`.
        """
        if len(body) > MOST_BYTES // LONGEST_CHARACTER and len(body.encode()) > MOST_BYTES:
            raise ValueError(f"an event for clients of other nodes has more than {MOST_BYTES} bytes")
        handing = _HandingOver(len(nodes), self._not_handed_over)
        for node in nodes:
            self._send(node, body, handing.done)
        await handing.over()
        if handing.unread:
            line = "what the host asked for could not be handed over: a node has not read for %g s"
            self._lines.write(logging.WARNING, "nodes that do not read", line, PATIENCE)
            raise UnreadError(PATIENCE)

    def _not_handed_over(self) -> None:
        line = "what the host asked for could not be handed over to another node"
        self._lines.write(logging.WARNING, line, line)

    # In

    def hear(self, message: HostMessage) -> None:
        """Do what another node asks for."""
        if self._audience is None:
            return
        try:
            self._act(self._audience, message)
        except Exception as error:  # noqa: BLE001 - a callback of the host's, say; it must not end the connection
            line = "a fault in what another node asked for"
            self._lines.write(logging.ERROR, line, line, fault=error)

    def _act(self, audience: Audience, message: HostMessage) -> None:
        head, node = message.head, message.node
        if message.kind == "emit":
            namespace, rooms, skipped, callback = head
            emit = Emit(namespace, tuple(rooms), tuple(skipped), message.frames, callback)
            audience.hear(emit, partial(self._reply, node, callback))
        elif message.kind == "reply":
            callback, is_last = head
            audience.answer(callback, message.frames, is_last=is_last)
        elif message.kind == "order":
            number, *words = head
            self._spawn(self._carry_out(audience, node, number, Order(*words)))
        elif message.kind == "done":
            self._take_answer(*head)
        elif message.kind == "close":
            namespace, room = head
            audience.close(namespace, room)

    def _reply(self, node: str, callback: int, frames: tuple[Frame, ...], is_last: bool) -> None:  # noqa: FBT001 - see `Reply`
        self._spawn(self._answer(node, write_host_body("reply", [callback, is_last], frames)))

    async def _answer(self, node: str, body: str) -> None:
        try:
            await self._post([node], body)
        except ValueError as error:
            line = "the answer of a client does not reach the node that has asked: %s"
            self._lines.write(logging.WARNING, "answers that are too large", line, error)
        except UnreadError:
            pass  # a line has told of it

    async def _carry_out(self, audience: Audience, node: str, number: int, order: Order) -> None:
        done, refusal, fault = False, "", ""
        try:
            done = await audience.carry_out(order)
        except ValueError as error:
            refusal = str(error)
        except Exception as error:  # noqa: BLE001 - a handler of the host's, say; who has ordered it waits
            line = "a fault in what another node has ordered"
            self._lines.write(logging.ERROR, line, line, fault=error)
            fault = repr(error)
        await self._answer(node, write_host_body("done", [number, done, refusal, fault]))

    def _take_answer(self, number: int, done: bool, refusal: str, fault: str) -> None:  # noqa: FBT001 - as it was sent
        answer = self._ordered.get(number)
        if answer is None or answer.done():
            return
        if fault:
            answer.set_exception(RuntimeError(f"the client's node could not do it: {fault}"))
        elif refusal:
            answer.set_exception(ValueError(refusal))
        else:
            answer.set_result(done)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def down(self) -> None:
        """Let the orders under way fail, because the store is away."""
        for answer in self._ordered.values():
            if not answer.done():
                answer.set_exception(unavailable())

    def close(self) -> None:
        """End what runs in the background."""
        for task in self._tasks:
            task.cancel()


class _HandingOver:
    """One message on its way to some nodes.

    Args:
        nodes: How many.
        failed: Called for each that was not reached.

    Attributes:
        unread: Whether a node has not read in time.
    """

    def __init__(self, nodes: int, failed: Callable[[], None]) -> None:
        self._left = nodes
        self._failed = failed
        self.unread = False
        self._over: asyncio.Future[None] | None = None

    def done(self, reached: bool | None) -> None:  # noqa: FBT001 - see `Handed`
        self._left -= 1
        if reached is None:
            self.unread = True
        elif not reached:
            self._failed()
        if not self._left and self._over is not None and not self._over.done():
            self._over.set_result(None)

    async def over(self) -> None:
        """Wait for all of them; none of them has to be waited for where nodes share a machine."""
        if self._left:
            self._over = asyncio.get_running_loop().create_future()
            await self._over
