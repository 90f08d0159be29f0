"""How connections join and leave the namespaces of a server.

There is one rule for this file: whatever happens meanwhile, if a connect handler has let a client in, the
disconnect handler is called exactly once, and after that nothing of the socket stays in the server's tables.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

import socketio

from walkie_signal.core.facts import NamespaceRefused
from walkie_signal.errors import ProtocolViolation
from walkie_signal.transport.socketio.sockets import Socket, Sockets, State
from walkie_signal.wire.frames import CLOSE, MESSAGE
from walkie_signal.wire.packets import CONNECT, CONNECT_ERROR, DISCONNECT

INVALID_NAMESPACE = {"message": "Invalid namespace"}
"""The text of the protocol; python-socketio has another one."""

BARRED = {"message": "Disconnected by the server"}

INTERNAL = {"message": "internal error", "data": {"code": "internal", "message": "internal error"}}
"""The answer to a client if a connect handler failed; python-socketio answers nothing at all."""


MOST_REFUSED = 100
"""How many CONNECTs of one connection may be refused: a page joins a few namespaces, and each answer is longer than
what it answers."""


class Joinable(Protocol):
    """A server, as its joins see it."""

    always_connect: bool
    environ: dict[str, Any]
    manager: Any
    packet_class: Any
    reason: Any

    def accepts(self, namespace: str) -> bool:
        """Tell whether a namespace can be joined."""

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> object:
        """Start a task."""

    async def catch_up(self, socket: Socket) -> None:
        """Act on the packets that a socket sent before it was let in."""

    def resume(self, socket: Socket) -> None:
        """Act on the packets that waited until CONNECT was answered."""

    def log_fault(self, kind: str, message: str, *arguments: Any, fault: BaseException) -> None:
        """Log the traceback of a handler's fault."""

    async def _trigger_event(self, event: str, namespace: str, *args: Any) -> Any: ...


class Joins:
    """The joining and leaving of one server."""

    def __init__(self, server: Joinable) -> None:
        self._server = server

    def connect(self, sockets: Sockets, namespace: str, auth: Any) -> None:
        """Begin to join a namespace; a client that has joined it already leaves it first.

        Such a client has not seen the answer, or it dropped that because it had taken its CONNECT back.

        Raises:
            ProtocolViolation: It has seen the answer: it has sent an event since.
        """
        server = self._server
        before = sockets.get(namespace)
        if before is not None and before.state is State.JOINED and before.spoke:
            raise ProtocolViolation("a CONNECT for a namespace that is joined")
        if before is not None:
            self.leave(before, server.reason.CLIENT_DISCONNECT)
        if namespace in sockets.barred:
            self.refuse(sockets, namespace, BARRED)
        elif not server.accepts(namespace):
            self.refuse(sockets, namespace, INVALID_NAMESPACE)
        else:
            socket = sockets.add(namespace, auth)
            server.spawn(self._join(socket, auth, before.left if before is not None else None))

    async def _join(self, socket: Socket, auth: Any, before: asyncio.Future[None] | None) -> None:
        """Ask the connect handler, and tell the client the answer."""
        if before is not None:
            await before
        connection = socket.sockets.connection
        try:
            sid = None
            if not connection.closed:
                sid = await self._server.manager.pre_connect(connection.sid, socket.namespace)
            if sid is None:
                return
            socket.sid = sid
            if self._server.always_connect:
                await self._admit(socket)
            refusal = await self._ask(socket, auth)
            await self._conclude(socket, refusal)
        except Exception as fault:  # noqa: BLE001 - whatever it was, the client is told
            line = "a connection could not be let in"
            self._server.log_fault(line, line, fault=fault)
            connection.close(self._server.reason.TRANSPORT_ERROR, code=1011)
        finally:
            if socket.state is State.JOINING:
                await self._forget(socket)

    async def _ask(self, socket: Socket, auth: Any) -> Any:
        """Call the connect handler; returns the data of a refusal, or ``None`` if it lets the client in."""
        server = self._server
        environ = server.environ.get(socket.sockets.connection.sid)
        try:
            ask = server._trigger_event  # noqa: SLF001
            answer = await ask("connect", socket.namespace, socket.sid, environ, auth or None)
        except socketio.exceptions.ConnectionRefusedError as refusal:
            return refusal.error_args
        except ConnectionRefusedError:
            return {"message": "Connection refused by server"}
        except (Exception, asyncio.CancelledError) as fault:  # noqa: BLE001 - nobody but a handler cancels this task
            server.log_fault("a connect handler failed", "a connect handler failed", fault=fault)
            return INTERNAL
        return socketio.exceptions.ConnectionRefusedError().error_args if answer is False else None

    async def _conclude(self, socket: Socket, refusal: Any) -> None:
        sockets = socket.sockets
        if refusal is not None:
            kind = DISCONNECT if self._server.always_connect else CONNECT_ERROR
            self._send(sockets, kind, socket.namespace, refusal)
            await self._forget(socket)
            self._count_refusal(sockets)
            self._server.resume(socket)
            return
        if not sockets.connection.closed and not self._server.always_connect:
            await self._admit(socket)
        if socket.deferred:
            await self._server.catch_up(socket)
        if sockets.connection.closed:
            # The connection ended while the handler decided; python-socketio would keep such a socket for ever
            await self.leave(socket, sockets.connection.reason or self._server.reason.TRANSPORT_CLOSE)
            return
        if socket.state is State.JOINING:
            socket.join()
            self._server.resume(socket)

    async def _admit(self, socket: Socket) -> None:
        """Send the CONNECT, and then what was held back."""
        await self._server.manager.connect(socket.sid, socket.namespace)
        self._send(socket.sockets, CONNECT, socket.namespace, {"sid": socket.sid})
        socket.release()

    async def _forget(self, socket: Socket) -> None:
        """Remove a socket from the server's tables if the connect handler has not let it in."""
        try:
            if socket.sid:
                await self._server.manager.disconnect(socket.sid, socket.namespace, ignore_queue=True)
        finally:
            socket.go()

    def leave(self, socket: Socket, reason: str) -> asyncio.Future[None]:
        """Begin to leave: the client's events are ignored from now on; the future is done when it has left."""
        if socket.state in (State.JOINING, State.JOINED):
            socket.leave()
            self._server.spawn(self._leave(socket, reason))
        return socket.left

    async def _leave(self, socket: Socket, reason: str) -> None:
        """Call the disconnect handler and forget the socket, whatever the handler does."""
        server = self._server
        try:
            server.manager.pre_disconnect(socket.sid, socket.namespace)
            await server._trigger_event("disconnect", socket.namespace, socket.sid, reason)  # noqa: SLF001
        except Exception as fault:  # noqa: BLE001 - a handler may raise anything
            server.log_fault("a disconnect handler failed", "a disconnect handler failed", fault=fault)
        finally:
            try:
                await server.manager.disconnect(socket.sid, socket.namespace, ignore_queue=True)
            finally:
                socket.go()

    async def leave_all(self, sockets: Sockets, reason: str) -> None:
        """Let all sockets of a closed connection leave; those that are joining notice the end themselves."""
        lefts = [self.leave(socket, reason) for socket in sockets if socket.state is not State.JOINING]
        if lefts:
            await asyncio.wait(lefts)

    async def kick(self, socket: Socket) -> None:
        """Disconnect a socket for good: the transport closes, unless other namespaces are joined on it.

        In that case this namespace stays closed to it; with python-socketio, a CONNECT would bring the client back.
        """
        sockets = socket.sockets
        sockets.barred |= {socket.namespace}
        self._send(sockets, DISCONNECT, socket.namespace, None)
        left = self.leave(socket, self._server.reason.SERVER_DISCONNECT)
        if not sockets.busy:
            sockets.connection.close(self._server.reason.SERVER_DISCONNECT, farewell=CLOSE)
        await asyncio.wait({left})

    def refuse(self, sockets: Sockets, namespace: str, why: dict[str, Any]) -> None:
        """Refuse a CONNECT without asking the host."""
        connection = sockets.connection
        connection.owner.facts.tell(NamespaceRefused, why["message"], connection)
        self._send(sockets, CONNECT_ERROR, namespace, why)
        self._count_refusal(sockets)

    @staticmethod
    def _count_refusal(sockets: Sockets) -> None:
        """Close a connection that goes on asking for what it is refused."""
        sockets.refused += 1
        if sockets.refused > MOST_REFUSED:
            sockets.connection.violate(ProtocolViolation("too many CONNECTs that are refused"))

    def _send(self, sockets: Sockets, kind: int, namespace: str, data: Any) -> None:
        text = self._server.packet_class(kind, data=data, namespace=namespace).encode()
        sockets.connection.send(MESSAGE + text if isinstance(text, str) else text)
