"""How our namespace and the handlers of a host share one python-socketio server.

On a namespace, python-socketio calls a function handler (``@sio.event``, ``@sio.on``) instead of a class's, so a
host's ``connect`` or ``disconnect`` would hide ours. Also, a client may send an *event* of either name. The binding
replaces these methods on that one server object, so that it comes before the server's own dispatch:

    ``_handle_connect``          refuses a CONNECT on a connection that is closed already (stock servers)
    ``_handle_event_internal``   takes an event of a client: ours, the host's, or one without a handler
    ``_trigger_event``           runs both the host's function and ours for a real connect or disconnect
    ``on``, ``register_namespace``   refuse what could not work, and say what to write
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import socketio

from walkie_signal.arity import arity
from walkie_signal.core.peer_events import CLIENT_EVENTS
from walkie_signal.errors import ProtocolViolation, SignalingError
from walkie_signal.wire.event_packets import checked_name

Refused = (socketio.exceptions.ConnectionRefusedError, ConnectionRefusedError)


class Bound(Protocol):
    """The signaling of one namespace, as the binding calls it. No method except `admit` raises."""

    namespace: str
    registered: Any
    host_events: Mapping[str, Callable[..., Any]]

    async def admit(self, sid: str, environ: Mapping[str, Any], auth: object) -> None:
        """Let a connection in.

        Raises:
            SignalingError: It may not or can't be let in.
        """

    async def release(self, sid: str, reason: str) -> None:
        """Take a connection that has ended out of its rooms."""

    def receive(self, sid: str, data: list[Any], ack_id: int | None) -> None:
        """Carry out one of our events; an event without a handler is answered with an error."""

    def fail(self, sid: str, data: list[Any], ack_id: int | None, error: Exception) -> None:
        """Answer one of the host's events that could not be carried out."""

    def violate(self, sid: str, violation: ProtocolViolation) -> None:
        """Close a connection that broke the protocol."""

    def refused(self, why: str, environ: Mapping[str, Any]) -> None:
        """Tell that a connection was not let in."""

    def failed(self, line: str, fault: Exception) -> None:
        """Log that a function of the host failed."""


class Binding:
    """Joins one namespace of ours to one server."""

    def __init__(self, server: Any, bound: Bound, *, is_strict: bool) -> None:
        """Replace the server's methods; `is_strict` is `Transport.is_strict`.

        Raises:
            ValueError: The host already handles one of our events on that namespace, or has a class-based
                namespace there.
        """
        self._server = server
        self._bound = bound
        self._namespace = bound.namespace
        for event in server.handlers.get(self._namespace, {}):
            self._refuse_ours(event)
        self._refuse_class(server.namespace_handlers.get(self._namespace))
        self._handle_event: Callable[..., Awaitable[None]] = server._handle_event_internal  # noqa: SLF001
        self._trigger: Callable[..., Awaitable[Any]] = server._trigger_event  # noqa: SLF001
        self._on: Callable[..., Any] = server.on
        self._register: Callable[[Any], None] = server.register_namespace
        self._handle_connect: Callable[..., Awaitable[None]] = server._handle_connect  # noqa: SLF001
        if not is_strict:
            server._handle_connect = self.handle_connect  # noqa: SLF001
        server._handle_event_internal = self.handle_event  # noqa: SLF001
        server._trigger_event = self.trigger  # noqa: SLF001
        server.on = self.on
        server.register_namespace = self.register_namespace

    # What the host registers

    def on(self, event: str, handler: Any = None, namespace: str | None = None) -> Any:
        """Replace ``sio.on``; refuses a handler that would hide ours."""
        if (namespace or "/") == self._namespace:
            self._refuse_ours(event)
        return self._on(event, handler, namespace)

    def register_namespace(self, handler: Any) -> None:
        """Replace ``sio.register_namespace``; refuses a class that would replace ours."""
        if handler.namespace == self._namespace:
            self._refuse_class(handler)
        self._register(handler)

    def _refuse_ours(self, event: str) -> None:
        if event in CLIENT_EVENTS:
            raise ValueError(
                f"{event!r} on namespace {self._namespace!r} is handled by walkie-signal: remove this handler "
                "(authorize= decides which joins are allowed, on_join= and on_leave= run after them), or give "
                "SignalingNamespace a namespace of its own"
            )

    def _refuse_class(self, handler: Any) -> None:
        if handler is not None and handler is not self._bound.registered:
            raise ValueError(
                f"namespace {self._namespace!r} can have one class only: write {type(handler).__name__}'s events "
                "as functions (@sio.on), derive it from SignalingNamespace, or give one of the two a namespace of "
                "its own"
            )

    # What clients do

    async def handle_connect(self, eio_sid: str, namespace: str, data: Any) -> None:
        """Replace ``_handle_connect``: ignore a CONNECT on a connection that is closed already.

        A stock server would keep its data about such a connection for ever.
        """
        if eio_sid in self._server.environ:
            await self._handle_connect(eio_sid, namespace, data)

    async def handle_event(  # noqa: PLR0917 - python-socketio's signature
        self,
        server: Any,
        sid: str,
        eio_sid: str,
        data: Any,
        namespace: str,
        id: int | None,  # noqa: A002 - python-socketio's name
    ) -> None:
        """Replace ``_handle_event_internal``."""
        if namespace != self._namespace:
            await self._handle_event(server, sid, eio_sid, data, namespace, id)
            return
        try:
            name = checked_name(data)
        except ProtocolViolation as violation:
            self._bound.violate(sid, violation)
            return
        handler, arguments = self._host_handler(name, sid, *data[1:])
        if name in CLIENT_EVENTS or handler is None:
            self._bound.receive(sid, data, id)
        elif not _accepts(handler, arguments):
            error = SignalingError("invalid_payload", "this event takes another number of arguments")
            self._bound.fail(sid, data, id, error)
        else:
            try:
                await self._handle_event(server, sid, eio_sid, data, namespace, id)
            except Exception as fault:  # noqa: BLE001 - `fail` answers and logs it
                self._bound.fail(sid, data, id, fault)

    async def trigger(self, event: str, namespace: str, *arguments: Any) -> Any:
        """Replace ``_trigger_event``. Reserved events only get here from the server itself."""
        if namespace == self._namespace and event == "connect":
            return await self._connect(*arguments)
        if namespace == self._namespace and event == "disconnect":
            await self._disconnect(*arguments)
            return None
        return await self._trigger(event, namespace, *arguments)

    async def _connect(self, sid: str, environ: Mapping[str, Any], auth: object = None) -> bool | None:
        """Run the host's ``connect``, which may refuse, then ours."""
        try:
            if await self._host_function("connect", sid, environ, auth) is False:
                self._bound.refused("by the host's connect", environ)
                return False
        except Refused:
            self._bound.refused("by the host's connect", environ)
            raise
        except Exception as fault:  # noqa: BLE001 - it is logged, and answered here
            self._bound.failed("the host's connect failed", fault)
            raise _refusal(SignalingError("internal", "internal error")) from None
        try:
            await self._bound.admit(sid, environ, auth)
        except SignalingError as error:
            await self._host_disconnect(sid, self._server.reason.SERVER_DISCONNECT)
            raise _refusal(error) from None
        return None

    async def _disconnect(self, sid: str, reason: str = "") -> None:
        """Run our ``disconnect``, which can't fail, then the host's."""
        await self._bound.release(sid, reason)
        await self._host_disconnect(sid, reason)

    async def _host_disconnect(self, sid: str, reason: str) -> None:
        try:
            await self._host_function("disconnect", sid, reason)
        except Exception as fault:  # noqa: BLE001 - it is logged
            self._bound.failed("the host's disconnect failed", fault)

    async def _host_function(self, event: str, *arguments: Any) -> Any:
        """Call the host's function for a reserved event, if it has one, with as many arguments as it takes."""
        handler, arguments = self._server._get_event_handler(event, self._namespace, arguments)  # noqa: SLF001
        if handler is None:
            return None
        if not _accepts(handler, arguments):
            arguments = arguments[:-1]
        answer = handler(*arguments)
        return await _uncancelled(answer) if inspect.isawaitable(answer) else answer

    def host_hears(self, name: str) -> bool:
        """Tell whether the host has a handler for an event."""
        return self._host_handler(name)[0] is not None

    def _host_handler(self, name: str, *arguments: Any) -> tuple[Callable[..., Any] | None, tuple[Any, ...]]:
        handler, found = self._server._get_event_handler(name, self._namespace, arguments)  # noqa: SLF001
        return (handler, found) if handler is not None else (self._bound.host_events.get(name), arguments)


def _refusal(error: SignalingError) -> Any:
    return socketio.exceptions.ConnectionRefusedError(error.message, error.to_payload())


async def _uncancelled(answer: Awaitable[Any]) -> Any:
    """Await what a function of the host returned; if that was cancelled without us, it counts as failed.

    python-socketio would take the cancellation as its own: the client would get no answer, and stay in the
    server's tables.
    """
    task = asyncio.ensure_future(answer)
    try:
        await asyncio.wait({task})
    finally:
        task.cancel()
    try:
        return task.result()
    except asyncio.CancelledError as error:
        raise RuntimeError("it was cancelled") from error


def _accepts(handler: Callable[..., Any], arguments: tuple[Any, ...]) -> bool:
    least, most = arity(handler)
    return least <= len(arguments) <= most
