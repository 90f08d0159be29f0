"""The emitter for code that is not async."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from typing_extensions import Self

from walkie_signal.core.identity import UserId
from walkie_signal.emitter.asynchronous import AsyncEmitter, Sids
from walkie_signal.settings import Settings

Result = TypeVar("Result")


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

    def revoke(self, user_id: UserId) -> int:
        """See `AsyncEmitter.revoke`."""
        return self._run(lambda it: it.revoke(user_id))


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
