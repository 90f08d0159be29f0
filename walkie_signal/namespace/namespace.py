"""The signaling namespace: what a backend developer registers, asks and orders."""

from __future__ import annotations

from typing import Any, TypedDict

import socketio

from walkie_signal.backends.base import Backend
from walkie_signal.backends.named import backend_of
from walkie_signal.core.changes import Member
from walkie_signal.core.facts import Facts
from walkie_signal.core.identity import UserId
from walkie_signal.core.peer_events import CLIENT_EVENTS
from walkie_signal.host import Authenticate, Authorize, Host, OnJoin, OnLeave
from walkie_signal.namespace.adapter import Adapter
from walkie_signal.node.node import Node
from walkie_signal.settings import Settings
from walkie_signal.settings.identity import ALLOW
from walkie_signal.wire.event_packets import RESERVED_EVENTS


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

    Register it by ``sio.register_namespace(SignalingNamespace(...))``, or give it to `attach`. Other handlers of
    yours may be on the same server and the same namespace. The protocol reference says what clients may send.

    Args:
        namespace: The Socket.IO namespace; clients of the legacy server expect ``/``.
        settings: Limits and times; ``None`` uses the defaults of `Settings`.
        authenticate: Called with the `Credentials` of each connection; returns an `Identity`, a mapping with
            ``user_id``, ``role`` and anything else that you want to find in ``attributes``, or ``None`` to refuse.
            Without this function nothing is verified: a peer is who it claims to be.
        authorize: Called with an `Identity` and the name of a room before each join; returns whether the join is
            allowed. Without this function every join is. Without `authenticate` the identity is the one that the
            peer claims.
        on_join: Called with the `Member` after it has joined a room (once, not when it is announced again).
        on_leave: Called with the `Member` and the reason after it has left a room in any way.
        backend: Which nodes are one service. ``None``, or ``auto``: the workers of this process's supervisor, if
            that is one that is known, and else this process alone. ``machine:patrol``: the processes of this
            machine that give the same name. ``memory``: this process alone. The URL of a Redis server, such as
            ``redis://user:password@host:6379/0``, or of its sentinels, such as
            ``redis+sentinel://host1,host2/service/0``: all nodes that give it.

    Each function may be async or not; one that is not async runs in a thread. Each has ``callback_timeout``
    seconds. If one of the first two fails, the peer is answered ``internal``; if a hook fails, that is only logged.

    Raises:
        ValueError: `user_connections` of the settings needs an `authenticate`, and none is given. At registration:
            a handler of yours would hide one of ours; the text says what to write.
        TypeError: If a derived class has a handler for one of our events.
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
                    f"peers could call {cls.__name__}.{hook} as an event: give {hook}= to the constructor instead"
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
        if self.settings.user_connections != ALLOW and authenticate is None:
            raise ValueError(
                "user_connections needs authenticate: otherwise anybody may claim to be another user"
            )
        host = Host(
            self.settings, authenticate=authenticate, authorize=authorize, on_join=on_join, on_leave=on_leave
        )
        self._node = Node(namespace, self.settings, backend_of(backend, namespace, self.settings), host)
        host_events = {
            name.removeprefix("on_"): getattr(self, name)
            for name in dir(type(self))
            if name.startswith("on_") and callable(getattr(type(self), name))
        }
        self._adapter = Adapter(self, self._node, host_events)

    # What the host may ask and order

    @property
    def backend(self) -> Backend:
        """The backend that keeps the rooms, for this node only or for several."""
        return self._node.backend

    @property
    def ready(self) -> bool:
        """Whether a new peer can join a room now: not before the start, nor while the store is away or at the end.

        Let your readiness probe answer this.
        """
        return self._node.ready

    async def rooms(self) -> list[str]:
        """Return the names of the rooms that have members, on any node, in alphabetical order.

        Raises:
            SignalingError: ``unavailable``: other nodes can't be asked now.
        """
        return await self._node.orders.rooms()

    async def peers(self, room: str) -> list[Member]:
        """Return the members of a room, on any node, in the order in which they joined; the list may be empty.

        Raises:
            SignalingError: ``unavailable``: other nodes can't be asked now.
        """
        return await self._node.orders.roster(room)

    async def send(self, user_id: UserId, event: str, data: Any = None) -> int:
        """Send an event of your own to every connection of a user, in a room or not.

        Args:
            user_id: The id that your `authenticate` returned, or without `authenticate` the id that the peer
                claimed; 7, 7.0 and "7" are the same user.
            event: The event's name; it must not be one that Socket.IO reserves.
            data: Any JSON value; ``None`` sends the event without an argument.

        Returns:
            How many connections it was sent to. With 0 the user is not connected: wake the phone another way.

        Raises:
            ValueError: `user_id` is not a user id, `event` is reserved, or `data` has no JSON form.
            SignalingError: ``unavailable``: other nodes can't be asked now; ``details["sent"]`` says to how many
                connections of this node it was sent.
        """
        return await self._node.orders.send(user_id, event, *(() if data is None else (data,)))

    async def kick(self, peer_id: str) -> bool:
        """Close a peer's connection for good: its rooms hear that it was kicked, and a stock client stays away.

        Returns:
            Whether there was such a peer. A peer of another node is closed a moment after this returns.

        Raises:
            SignalingError: ``unavailable``: the peer is not on this node, and other nodes can't be asked now.
        """
        return await self._node.orders.kick(peer_id)

    async def revoke(self, user_id: UserId) -> int:
        """Close all connections of a user, and refuse whatever was issued for it until now: a token by its ``iat``.

        The others hear that it was kicked, and a stock client stays away. What does not say when it was issued is
        refused too. This holds on every node, also on those that start later, for `revocations_kept` seconds.

        Args:
            user_id: The id that your `authenticate` or a token names; 7, 7.0 and "7" are the same user.

        Returns:
            How many connections there were. Those of other nodes are closed a moment after this returns.

        Raises:
            ValueError: `user_id` is not a user id.
            RuntimeError: There is no `authenticate`, so nobody could be refused.
            SignalingError: ``unavailable``: other nodes can't be asked now. It holds on this node, where
                ``details["closed"]`` connections were closed, and on the others once they can be told, unless this
                node ends before.
        """
        return await self._node.orders.revoke(user_id)

    async def start(self) -> None:
        """Start the tasks in the background, also after `close`.

        `attach` calls this at the app's start-up; otherwise the first connection does.
        """
        await self._node.start()

    def drain(self) -> None:
        """Send every peer ``server_draining``; until the next `start`, refuse new connections with ``unavailable``.

        `close` does this by itself. Call `drain` before it if the web server, like uvicorn, closes connections
        before it ends the app's lifespan. With several workers, connections that this process carries for sessions
        of another worker are closed, after their peers were told.
        """
        self._node.drain()
        self._adapter.hand_back()

    async def close(self) -> None:
        """Tell the peers of this namespace, close their connections, and end the tasks in the background.

        Until the next `start`, new connections are refused with ``unavailable``.
        """
        await self._node.close()

    # What the server calls

    def _set_server(self, server: Any) -> None:
        self._adapter.bind(server)
        super()._set_server(server)

    async def trigger_event(self, event: str, *arguments: Any) -> Any:
        """Dispatch an event of a derived class; all other events have been dealt with before."""
        if event not in self._adapter.host_events:
            return self.server.not_handled
        return await super().trigger_event(event, *arguments)


def facts_of(signaling: SignalingNamespace) -> Facts:
    """Return where the node of a namespace tells what happens; it is no part of what a host may use."""
    return signaling._node.facts  # noqa: SLF001 - see above
