"""python-socketio's rooms, with a fan-out that encodes once and awaits nobody."""

from __future__ import annotations

import asyncio
from typing import Any

import socketio

from walkie_signal.transport.packets import EVENT


class Rooms(socketio.AsyncManager):  # type: ignore[misc]  # python-socketio has no types
    """The client manager of a server in one process; python-socketio's makes a task for each recipient."""

    async def emit(  # noqa: PLR0917 - python-socketio's
        self,
        event: str,
        data: Any,
        namespace: str,
        room: Any = None,
        skip_sid: Any = None,
        callback: Any = None,
        to: Any = None,
        **options: Any,
    ) -> None:
        """Send an event to whoever is in a room."""
        if callback is not None:
            await super().emit(
                event, data, namespace, room=room, skip_sid=skip_sid, callback=callback, to=to, **options
            )
            return
        if namespace in self.rooms:
            arguments = list(data) if isinstance(data, tuple) else [] if data is None else [data]
            pkt = self.server.packet_class(EVENT, namespace=namespace, data=[event, *arguments])
            frames = self.server.frames_of(pkt)
            skipped = skip_sid if isinstance(skip_sid, list) else [skip_sid]
            for sid, eio_sid in self.get_participants(namespace, to or room):
                if sid not in skipped:
                    self.server.push(eio_sid, namespace, frames)
        await asyncio.sleep(0)  # a loop that emits for ever leaves others their turn
