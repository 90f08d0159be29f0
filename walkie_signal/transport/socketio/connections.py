"""All connections of a server, for those who build on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from walkie_signal.core.ports import Link, OtherNodes
from walkie_signal.transport.engineio import farewells
from walkie_signal.transport.engineio.connection import Connection
from walkie_signal.transport.engineio.http import Receive, Scope, Send
from walkie_signal.transport.engineio.server import Engine
from walkie_signal.transport.socketio.emits import Rooms
from walkie_signal.transport.socketio.sockets import DeadLink, SocketLink, Sockets
from walkie_signal.transport.workers.hand_over import HandOver


class Connections:
    """The `walkie_signal.core.ports.Transport` of a server of ours."""

    is_strict = True

    def __init__(self, engine: Engine, manager: Any) -> None:
        self._engine = engine
        self._manager = manager
        self._farewells: dict[str, Callable[[str], None]] = {}
        self.serve: Callable[[Scope, Receive, Send], Awaitable[None]] = engine.handle_request

    @property
    def lets_any_page_in(self) -> bool:
        """Whether a web page of any origin may connect."""
        return self._engine.cors.anybody

    def link(self, eio_sid: str, namespace: str) -> Link:
        """Return a way to send texts to one socket and to hear its events inline."""
        connection = self._engine.sockets.get(eio_sid)
        sockets: Sockets | None = connection.app if connection is not None else None
        socket = sockets.get(namespace) if sockets is not None else None
        return DeadLink() if socket is None else SocketLink(socket)

    def before_parting(self, namespace: str, farewell: Callable[[str], None]) -> None:
        """Call `farewell` with the sid of each socket on a namespace whose connection is about to close."""
        self._farewells[namespace] = farewell

    def bid_farewell(self, connection: Connection) -> None:
        """Call the functions of `before_parting` for the sockets of a connection."""
        for socket in connection.app or ():
            farewell = self._farewells.get(socket.namespace)
            if farewell is not None:
                farewell(socket.sid)

    def reach(self, others: OtherNodes, namespace: str) -> None:
        """Let the host's emits reach the clients on other nodes, unless another client manager does."""
        if isinstance(self._manager, Rooms):
            self._manager.reach(others, namespace)

    def keep_headers(self, names: frozenset[bytes]) -> None:
        """Let connections keep only these headers of their handshake."""
        self._engine.keeps = names

    def share_requests(self) -> None:
        """Share the requests of all sessions with the other worker processes, from the next session on."""
        engine = self._engine
        if engine.hand_over is None:
            engine.hand_over = HandOver(
                engine.handle_request, engine.max_http_buffer_size, engine.settings.stall_timeout
            )

    def hand_back(self) -> None:
        """Let other workers close their connections that are carried here, because this worker will end."""
        if self._engine.hand_over is not None:
            self._engine.hand_over.hand_back()

    async def hang_up(self, within: float) -> None:
        """Close all connections; peers come back to the next server on the port."""
        await farewells.polled(self._engine, within)
        if self._engine.hand_over is not None:
            await self._engine.hand_over.handed_back()
        farewells.hang_up(self._engine)

    async def close(self) -> None:
        """Wait until the ends of connections have been told, and end the hand-over until the next session."""
        await self._engine.ends.done()
        await self._engine.end_hand_over()
