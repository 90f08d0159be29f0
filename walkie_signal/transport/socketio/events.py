"""Sends events to the clients of a server, at once: an event awaits nobody, so none overtakes another one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from walkie_signal.wire.event_packets import event_text, prefix_of
from walkie_signal.wire.frames import Frame
from walkie_signal.wire.packets import EVENT


class Events:
    """The events of one server.

    Args:
        rooms: Its client manager, of which this is a part.
    """

    def __init__(self, rooms: Any) -> None:
        self._rooms = rooms

    def frames(self, namespace: str, event: str, data: Any) -> list[Frame]:
        """Encode an event, once for all its recipients."""
        server = self._rooms.server
        if server.writes_json:
            try:
                return [event_text(prefix_of(namespace), event, *_arguments(data))]
            except ValueError:
                pass  # it holds bytes, say
        frames: list[Frame] = server.frames_of(self.packet(namespace, event, data))
        return frames

    def packet(self, namespace: str, event: str, data: Any) -> Any:
        """Return an event as python-socketio's packet."""
        data = [event, *_arguments(data)]
        return self._rooms.server.packet_class(EVENT, namespace=namespace, data=data)

    def send(self, namespace: str, room: Any, skipped: Sequence[Any], frames: Sequence[Frame]) -> None:
        """Send an event's frames to the clients in a room."""
        for sid, eio_sid in self._rooms.get_participants(namespace, room):
            if sid not in skipped:
                self._rooms.server.push(eio_sid, namespace, frames)

    def ask(
        self,
        namespace: str,
        room: Any,
        skipped: Sequence[Any],
        packet: Any,
        waits: Callable[[str], Callable[..., Any]],
    ) -> None:
        """Send an event to the clients in a room; `waits` returns what takes the answer of a sid."""
        server = self._rooms.server
        for sid, eio_sid in self._rooms.get_participants(namespace, room):
            if sid not in skipped:
                packet.id = self._rooms.expect_ack(sid, waits(sid))
                server.push(eio_sid, namespace, server.frames_of(packet))


def _arguments(data: Any) -> list[Any]:
    return list(data) if isinstance(data, tuple) else [] if data is None else [data]
