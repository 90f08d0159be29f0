"""The emitter for async code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from typing_extensions import Self

from walkie_signal.backends.named import backend_of
from walkie_signal.backends.nobody import Nobody
from walkie_signal.backends.revocation_table import RevocationTable, now
from walkie_signal.core.identity import UserId, checked_user_id
from walkie_signal.settings import Settings
from walkie_signal.settings.forms import AUTO, MACHINE, MEMORY
from walkie_signal.transport import create_server

Sids = str | Sequence[str] | None
"""A sid, several, or none."""

NOT_STARTED = "this emitter is not started, or closed"


class AsyncEmitter:
    """Emits to the clients of all nodes of a service. It is a node itself, to which nobody connects.

    ::

        async with AsyncEmitter("redis://127.0.0.1:6379/0") as emitter:
            await emitter.emit("shift_ended", {"site": 7}, to="site-7")

    Args:
        backend: What the nodes were given: the URL of a Redis server or of its sentinels, or ``machine:<name>``.
            If no node has that, nobody is told, and no error comes.
        namespace: The namespace of their signaling, if it is another one.
        settings: Their settings, of which only `redis_prefix` and `revocations_kept` matter here; ``None`` for the
            defaults.

    Raises:
        ValueError: `backend` names no store that other processes can find.
        ImportError: It is a URL of Redis, but the extra ``redis`` is not installed.
    """

    def __init__(self, backend: str, *, namespace: str = "/", settings: Settings | None = None) -> None:
        if backend in (None, "", AUTO, MACHINE, MEMORY):
            raise ValueError(
                f"an emitter finds no nodes by {backend!r}: give it and them machine:<name>, or a URL of Redis"
            )
        from walkie_signal.transport.socketio.emits import Rooms  # noqa: PLC0415 - as `create_server` does

        self._is_open = False
        self._turn: asyncio.Task[None] | None = None
        settings = settings or Settings()
        self._backend = backend_of(backend, namespace, settings)
        self._revocations = RevocationTable(self._backend, settings.revocations_kept)
        self._server = create_server(hand_over=False, client_manager=Rooms(has_clients=False))
        self._server.connections.reach(self._backend.others, namespace)

    @property
    def _started(self) -> Any:
        if not self._is_open:
            raise RuntimeError(NOT_STARTED)
        return self._server

    async def start(self) -> None:
        """Connect to the store, unless that is done. If it is away, this goes on, and emits raise meanwhile.

        Several tasks may start it; each of them goes on when it is started.
        """
        await self._in_turn(self._start)

    async def _start(self) -> None:
        if not self._is_open:
            try:
                await self._backend.start(Nobody())
            except BaseException:
                await self._backend.close()
                raise
            self._is_open = True

    async def close(self) -> None:
        """Leave nothing in the store; what was emitted has been handed over."""
        await self._in_turn(self._close)

    async def _close(self) -> None:
        self._is_open = False
        await self._backend.close()

    async def _in_turn(self, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Take a step after those before it, and to its end, even if who waits for it is cancelled."""
        before = self._turn

        async def turn() -> None:
            if before is not None and not before.done():
                await asyncio.wait([before])
            await step()

        self._turn = asyncio.create_task(turn())
        await asyncio.shield(self._turn)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def emit(
        self,
        event: str,
        data: Any = None,
        to: Any = None,
        *,
        room: Any = None,
        skip_sid: Sids = None,
        namespace: str = "/",
    ) -> None:
        """Emit an event; it returns once each node with somebody for it was sent it.

        Args:
            event: The event's name.
            data: What goes with it: what JSON has, and ``bytes``. A tuple is several arguments; ``None`` is none.
            to: A room or a sid, or a list of them, which may be empty; ``None`` is everybody in the namespace.
            room: Another name of `to`, as in python-socketio.
            skip_sid: Who is not to hear it.
            namespace: The namespace of the clients.

        Raises:
            SignalingError: ``unavailable``: the store can't be reached, and nobody was sent anything; or a node has
                not read for 8 s, and others were sent it.
            ValueError: The event is too large; or `to` is ``""`` or 0, which would be everybody.
            TypeError: A room is called neither by a text nor by an integer.
            RuntimeError: The emitter is not started, or closed; so it is with each call.
        """
        if (to := room if to is None else to) in ("", 0):
            raise ValueError(f"python-socketio takes {to!r} for everybody, and so would the clients' nodes")
        if to not in ([], ()):
            await self._started.emit(event, data, to=to, skip_sid=skip_sid, namespace=namespace)

    async def send(
        self, data: Any, to: Any = None, *, room: Any = None, skip_sid: Sids = None, namespace: str = "/"
    ) -> None:
        """Emit the event ``message``; see `emit`."""
        await self.emit("message", data, to, room=room, skip_sid=skip_sid, namespace=namespace)

    async def call(
        self, event: str, data: Any = None, *, to: str, namespace: str = "/", timeout: float = 60
    ) -> Any:
        """Emit an event to one client, and return its answer.

        Args:
            event: The event's name.
            data: See `emit`.
            to: The sid of the client.
            namespace: The namespace of the client.
            timeout: Seconds to wait, as in python-socketio.

        Raises:
            socketio.exceptions.TimeoutError: There is no answer in time, or no such client.
            SignalingError: ``unavailable``.
        """
        return await self._started.call(event, data, to=to, namespace=namespace, timeout=timeout)

    async def enter_room(self, sid: str, room: Any, namespace: str = "/") -> None:
        """Let a client enter a room; nothing happens if there is no such client.

        Raises:
            SignalingError: ``unavailable``: the client's node can't be reached.
            TimeoutError: The client's node has not answered in 2 s.
            ValueError: The room is another client's sid.
        """
        await self._started.enter_room(sid, room, namespace=namespace)

    async def leave_room(self, sid: str, room: Any, namespace: str = "/") -> None:
        """Let a client leave a room; as `enter_room`."""
        await self._started.leave_room(sid, room, namespace=namespace)

    async def close_room(self, room: Any, namespace: str = "/") -> None:
        """Let everybody leave a room.

        Raises:
            SignalingError: ``unavailable``.
        """
        await self._started.close_room(room, namespace=namespace)

    async def disconnect(self, sid: str, namespace: str = "/") -> None:
        """Disconnect a client; as `enter_room`."""
        await self._started.disconnect(sid, namespace=namespace)

    async def revoke(self, user_id: UserId) -> int:
        """Do on all nodes that authenticate what `SignalingNamespace.revoke` does.

        Returns:
            How many connections there were; they are closed a moment after this returns.

        Raises:
            ValueError: `user_id` is not a user id.
            SignalingError: ``unavailable``: the store can't be reached, or can't tell yet who is connected.
        """
        if not self._is_open:
            raise RuntimeError(NOT_STARTED)
        return await self._revocations.revoke(checked_user_id(user_id), now())
