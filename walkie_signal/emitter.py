"""Emits to the clients of a service from a process that serves nobody, such as a scheduler or a Celery task."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

from typing_extensions import Self

from walkie_signal.backends.named import backend_of
from walkie_signal.backends.nobody import Nobody
from walkie_signal.settings import Settings
from walkie_signal.settings.forms import AUTO, MACHINE, MEMORY
from walkie_signal.transport import create_server

Result = TypeVar("Result")

Sids = str | Sequence[str] | None
"""A sid, several, or none."""


class AsyncEmitter:
    """Emits to the clients of all nodes of a service. It is a node itself, to which nobody connects.

    ::

        async with AsyncEmitter("redis://127.0.0.1:6379/0") as emitter:
            await emitter.emit("shift_ended", {"site": 7}, to="site-7")

    Args:
        backend: What the nodes were given: the URL of a Redis server or of its sentinels, or ``machine:<name>``.
            If no node has that, nobody is told, and no error comes.
        namespace: The namespace of their signaling, if it is another one.
        settings: Their settings, of which only `redis_prefix` matters here; ``None`` for the defaults.

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
        self._backend = backend_of(backend, namespace, settings or Settings())
        self._server = create_server(hand_over=False, client_manager=Rooms(has_clients=False))
        self._server.connections.reach(self._backend.others, namespace)

    @property
    def _started(self) -> Any:
        if not self._is_open:
            raise RuntimeError("this emitter is not started, or closed")
        return self._server

    async def start(self) -> None:
        """Connect to the store, unless that is done. If it is away, this goes on, and emits raise meanwhile."""
        if not self._is_open:
            self._is_open = True
            await self._backend.start(Nobody())

    async def close(self) -> None:
        """Leave nothing in the store; what was emitted has been handed over."""
        self._is_open = False
        await self._backend.close()

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
            SignalingError: ``unavailable``: the store can't be reached; nobody was sent anything.
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


class Emitter:
    """`AsyncEmitter` for code that is not async: each call blocks until it is done.

    The first call connects, in a thread of this process; a process that was forked afterwards connects by itself.
    So one emitter may stand in a module that Celery's workers import.

    Args:
        backend: As for `AsyncEmitter`, and so are the others.
        namespace: The namespace of the nodes' signaling.
        settings: The nodes' settings.
    """

    def __init__(self, backend: str, *, namespace: str = "/", settings: Settings | None = None) -> None:
        self._make = partial(AsyncEmitter, backend, namespace=namespace, settings=settings)
        self._make()  # it raises here, and not in the first call
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._running: _Running | None = None

    def _begin_in_a_fork(self) -> None:
        """Keep nothing of another process, whose threads may have held the lock."""
        if self._process != os.getpid():
            self._begin()

    def _run(self, ask: Callable[[AsyncEmitter], Coroutine[Any, Any, Result]]) -> Result:
        self._begin_in_a_fork()
        with self._lock:
            if self._running is None:
                self._running = _Running(self._make())
                atexit.register(self.close)
            running = self._running
            running.begin_call()
        try:
            return running.ask(ask)
        finally:
            running.end_call()

    def close(self) -> None:
        """Leave nothing in the store, after the calls of other threads; a later call connects again.

        At the end of the process this is called.
        """
        self._begin_in_a_fork()
        with self._lock:
            running, self._running = self._running, None
        atexit.unregister(self.close)
        if running is not None:
            running.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def emit(
        self,
        event: str,
        data: Any = None,
        to: Any = None,
        *,
        room: Any = None,
        skip_sid: Sids = None,
        namespace: str = "/",
    ) -> None:
        """See `AsyncEmitter.emit`."""
        self._run(lambda it: it.emit(event, data, to, room=room, skip_sid=skip_sid, namespace=namespace))

    def send(
        self, data: Any, to: Any = None, *, room: Any = None, skip_sid: Sids = None, namespace: str = "/"
    ) -> None:
        """See `AsyncEmitter.send`."""
        self._run(lambda it: it.send(data, to, room=room, skip_sid=skip_sid, namespace=namespace))

    def call(
        self, event: str, data: Any = None, *, to: str, namespace: str = "/", timeout: float = 60
    ) -> Any:
        """See `AsyncEmitter.call`."""
        return self._run(lambda it: it.call(event, data, to=to, namespace=namespace, timeout=timeout))

    def enter_room(self, sid: str, room: Any, namespace: str = "/") -> None:
        """See `AsyncEmitter.enter_room`."""
        self._run(lambda it: it.enter_room(sid, room, namespace))

    def leave_room(self, sid: str, room: Any, namespace: str = "/") -> None:
        """See `AsyncEmitter.leave_room`."""
        self._run(lambda it: it.leave_room(sid, room, namespace))

    def close_room(self, room: Any, namespace: str = "/") -> None:
        """See `AsyncEmitter.close_room`."""
        self._run(lambda it: it.close_room(room, namespace))

    def disconnect(self, sid: str, namespace: str = "/") -> None:
        """See `AsyncEmitter.disconnect`."""
        self._run(lambda it: it.disconnect(sid, namespace))


class _Running:
    """An emitter that runs in a thread of its own."""

    def __init__(self, emitter: AsyncEmitter) -> None:
        self._emitter = emitter
        self._calls = 0
        self._call_ended = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="walkie-signal emitter", daemon=True
        )
        self._thread.start()
        self.ask(AsyncEmitter.start)

    def begin_call(self) -> None:
        """Record that a thread is about to ask."""
        with self._call_ended:
            self._calls += 1

    def end_call(self) -> None:
        """Record that it has its answer."""
        with self._call_ended:
            self._calls -= 1
            self._call_ended.notify_all()

    def ask(self, ask: Callable[[AsyncEmitter], Coroutine[Any, Any, Result]]) -> Result:
        """Ask the emitter, and wait for the answer."""
        return asyncio.run_coroutine_threadsafe(ask(self._emitter), self._loop).result()

    def end(self) -> None:
        """Close the emitter, and end the thread; nobody would answer a call that is under way."""
        with self._call_ended:
            self._call_ended.wait_for(lambda: not self._calls)
        self.ask(AsyncEmitter.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
