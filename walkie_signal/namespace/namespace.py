"""The signaling namespace: what a backend developer registers, asks and orders."""

from __future__ import annotations

from typing import Any, TypedDict

import socketio

from walkie_signal.backends.base import Backend
from walkie_signal.backends.urls import backend_of
from walkie_signal.core.identity import UserId
from walkie_signal.core.messages import CLIENT_EVENTS
from walkie_signal.core.packets import RESERVED_EVENTS
from walkie_signal.core.rooms import Member
from walkie_signal.host import Authenticate, Authorize, Host, OnJoin, OnLeave
from walkie_signal.namespace.adapter import Adapter
from walkie_signal.node.node import Node
from walkie_signal.settings import Settings


class Options(TypedDict, total=False):
    """The options of `SignalingNamespace`, as `attach` passes them on."""

    namespace: str
    settings: Settings | None
    authenticate: Authenticate | None
    authorize: Authorize | None
    on_join: OnJoin | None
    on_leave: OnLeave | None
    backend: Backend | str | None


class SignalingNamespace(socketio.AsyncNamespace):  # type: ignore[misc]  # python-socketio has no types
    """Rooms and signals on one Socket.IO namespace of any `socketio.AsyncServer`.

    Register it by ``sio.register_namespace(SignalingNamespace(...))``, beside any other handlers of yours on
    that server and on that namespace, or give it to `attach`. What clients may send is the protocol reference's.

    Args:
        namespace: The Socket.IO namespace, ``/`` as clients of the legacy server expect.
        settings: Limits and times; ``None`` for the defaults of `Settings`.
        authenticate: Called with the `Credentials` of each connection; returns an `Identity`, a mapping with
            ``user_id``, ``role`` and whatever else you want to find in ``attributes``, or ``None`` to refuse.
            ``None`` for no authentication: peers are what they say they are.
        authorize: Called with an `Identity` and the name of a room before each join; returns whether it may.
            ``None`` lets everybody into every room. Without `authenticate` the identity is what the peer claims.
        on_join: Called with the `Member` after it has joined a room (once, not when it is announced again).
        on_leave: Called with the `Member` and the reason after it has left a room, in whatever way.
        backend: What joins this node with others into one service: the URL of a Redis server, such as
            ``redis://user:password@host:6379/0``; ``None`` keeps rooms in this process.

    Each function may be async or not; one that is not runs in a thread. Each has ``callback_timeout`` seconds.
    A fault in one of the first two answers ``internal``; a fault in a hook is logged.

    Raises:
        ValueError: At registration, where a handler of the host's would hide ours; the text says what to write.
        TypeError: When a class derives from this one with a handler of an event that is ours.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for event in sorted(CLIENT_EVENTS | RESERVED_EVENTS):
            if hasattr(cls, f"on_{event}"):
                raise TypeError(
                    f"{cls.__name__}.on_{event} would never run: walkie-signal handles {event!r}. Write "
                    f"@sio.on({event!r}) for connect and disconnect, authorize= or a hook for the others."
                )
        for hook in ("on_join", "on_leave"):
            if hasattr(cls, hook):
                raise TypeError(
                    f"{cls.__name__}.{hook} would be what peers call: give {hook}= to the constructor"
                )

    def __init__(
        self,
        namespace: str = "/",
        *,
        settings: Settings | None = None,
        authenticate: Authenticate | None = None,
        authorize: Authorize | None = None,
        on_join: OnJoin | None = None,
        on_leave: OnLeave | None = None,
        backend: Backend | str | None = None,
    ) -> None:
        super().__init__(namespace)
        self.settings = settings or Settings()
        host = Host(
            self.settings, authenticate=authenticate, authorize=authorize, on_join=on_join, on_leave=on_leave
        )
        self._node = Node(namespace, self.settings, backend_of(backend, namespace, self.settings), host)
        host_events = {
            name.removeprefix("on_"): getattr(self, name)
            for name in dir(type(self))
            if name.startswith("on_") and callable(getattr(type(self), name))
        }
        self._adapter = Adapter(self, self._node, host, host_events)

    # What the host may ask and order

    @property
    def backend(self) -> Backend:
        """What keeps the rooms, alone or together with other nodes."""
        return self._node.backend

    @property
    def ready(self) -> bool:
        """Whether a peer that comes now can join a room: not before the start, while Redis is away, nor at the end.

        It is what a readiness probe of the host's should answer.
        """
        return self._node.ready

    async def rooms(self) -> list[str]:
        """Return the names of the rooms that somebody is in, on any node, in alphabetical order.

        Raises:
            SignalingError: ``unavailable``: other nodes can't be asked now.
        """
        return await self._node.orders.rooms()

    async def peers(self, room: str) -> list[Member]:
        """Return who is in a room, on any node, in the order of their joining; an empty list where nobody is.

        Raises:
            SignalingError: ``unavailable``: other nodes can't be asked now.
        """
        return await self._node.orders.roster(room)

    async def send(self, user_id: UserId, event: str, data: Any = None) -> int:
        """Send an event of your own to every connection of a user, in a room or not.

        Args:
            user_id: As your `authenticate` returned it, or as the peer claimed where there is none; 7, 7.0 and
                "7" are the same user.
            event: The event's name, none that Socket.IO reserves.
            data: Any JSON value; ``None`` sends the event without an argument.

        Returns:
            How many connections it was sent to. With 0 nobody is there: wake the phone another way.

        Raises:
            ValueError: `user_id` is none, `event` is reserved, or `data` has no JSON form.
            SignalingError: ``unavailable``: other nodes can't be asked now; ``details["sent"]`` tells how many
                connections of this node it was sent to all the same.
        """
        return await self._node.orders.send(user_id, event, *(() if data is None else (data,)))

    async def kick(self, peer_id: str) -> bool:
        """Close a peer's connection for good: its rooms hear that it was kicked, and a stock client stays away.

        Returns:
            Whether there was such a peer. One of another node is closed a moment later than this returns.

        Raises:
            SignalingError: ``unavailable``: it is none of this node, and others can't be asked now.
        """
        return await self._node.orders.kick(peer_id)

    async def start(self) -> None:
        """Start what runs in the background, also after `close`.

        `attach` does so at the app's start-up; where nobody does, the first connection does.
        """
        await self._node.start()

    def drain(self) -> None:
        """Tell every peer ``server_draining``; until the next `start`, who connects is refused as `unavailable`.

        `close` does so itself. Call it before that where the web server closes connections before it ends the app's
        lifespan, as uvicorn does. With several workers the connections that this process carries for sessions of
        another one are closed, their peers told.
        """
        self._node.drain()
        self._adapter.hand_back()

    async def close(self) -> None:
        """Close every connection of this namespace, its peers told, and end what runs in the background.

        Until the next `start`, who connects is refused with ``unavailable``.
        """
        await self._node.close()

    # What the server tells

    def _set_server(self, server: Any) -> None:
        self._adapter.bind(server)
        super()._set_server(server)

    async def trigger_event(self, event: str, *arguments: Any) -> Any:
        """Dispatch an event of a derived class; every other has been taken before it comes here."""
        if event not in self._adapter.host_events:
            return self.server.not_handled
        return await super().trigger_event(event, *arguments)
