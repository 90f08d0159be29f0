"""The channels of the nodes in Redis: what is published on one reaches the node that it belongs to, or nobody."""

from __future__ import annotations

import asyncio

from walkie_signal.backends.redis.store.keys import Keys
from walkie_signal.backends.redis.wire import Answer
from walkie_signal.backends.shared.uplink import REPLY_TIMEOUT


class Route:
    """The channel of another node.

    Attributes:
        head: The part of a PUBLISH request before the length of the message.
    """

    __slots__ = ("head",)

    def __init__(self, channel: str) -> None:
        self.head = f"*3\r\n$7\r\nPUBLISH\r\n${len(channel.encode())}\r\n{channel}\r\n$"


class StoredChannels(Keys):
    """The channels of all nodes."""

    def own(self) -> bytes:
        """Return the channel of this node."""
        return self._names.node(self._incarnation.id).encode()

    async def listen(self) -> None:
        """Begin to hear this node's own channel, and wait until it is heard."""
        channel = self._names.node(self._incarnation.id)
        await asyncio.wait_for(self._answer(self._uplink.listening.subscribe(channel)), REPLY_TIMEOUT)

    async def publish(self, node: str, message: bytes) -> bool:
        """Send a node a message; returns whether a node was reached."""
        return bool(await self._answer(self._uplink.ask("PUBLISH", self._names.node(node), message)))

    def route(self, node: str) -> Route:
        """Return what `send` needs to know of a node."""
        return Route(self._names.node(node))

    def send(self, route: Route, message: str, answer: Answer) -> None:
        """Send a node a message; `answer` gets the number of nodes that were reached, or an exception.

        Each signal comes here.
        """
        size = len(message) if message.isascii() else len(message.encode())
        self._uplink.asking.post(f"{route.head}{size}\r\n{message}\r\n".encode(), answer)
