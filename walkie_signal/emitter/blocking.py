"""The emitter for code that is not async."""

from __future__ import annotations

from functools import partial
from typing import Any

from typing_extensions import Self

from walkie_signal.core.identity import UserId
from walkie_signal.emitter.awaited import AsyncEmitter, Sids
from walkie_signal.emitter.threads import InThread
from walkie_signal.settings import Settings


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
        self._emitter = InThread(partial(AsyncEmitter, backend, namespace=namespace, settings=settings))
        self._run = self._emitter.run

    def close(self) -> None:
        """Leave nothing in the store, after the calls of other threads; a later call connects again.

        At the end of the process this is called.
        """
        self._emitter.close()

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
