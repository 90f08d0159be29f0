"""What the host asks of the clients of its own server, on whichever node they are.

The rooms that a host enters on its own server are not the rooms of signaling. In a store they have names of their
own, which no peer can ask for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from walkie_signal.wire.frames import Frame
from walkie_signal.wire.json import dumps
from walkie_signal.wire.values import is_text

MARK = "\0/"
"""What the names begin with that only nodes enter and leave: the host's rooms, and those of `core/own_rooms.py`.

A peer may not ask for one.
"""

LARGEST = 2**53
"""The largest magnitude of a room's number: JSON's readers take a larger one for another."""

LONGEST_KEPT = 128
"""The longest room whose name in a store is kept for the next time; clients may choose any."""

Reply = Callable[[tuple[Frame, ...], bool], None]
"""Takes the frames of a client's answer to an event, and whether there can be no other answer."""


class Emit(NamedTuple):
    """An event of the host's.

    Attributes:
        namespace: The namespace of its clients.
        rooms: The rooms that they are in; ``None`` among them means everybody in the namespace.
        skipped: The sids that it is not for.
        frames: The frames of the event.
        callback: The number by which its node knows who waits for the clients' answers; 0 if nobody does.
    """

    namespace: str
    rooms: tuple[Any, ...]
    skipped: tuple[str, ...]
    frames: tuple[Frame, ...]
    callback: int = 0


class Order(NamedTuple):
    """What the node of a client is to do with it.

    Attributes:
        what: The order; to enter or to leave a room, or to disconnect.
        namespace: The client's namespace.
        sid: The client.
        room: The room; ``None`` if the order is to disconnect.
    """

    what: Literal["enter", "leave", "disconnect"]
    namespace: str
    sid: str
    room: Any = None


def can_be_shared(room: Any) -> bool:
    """Tell whether other nodes can know a room: anything but a text or a whole number would be another room there.

    A text with a lone surrogate has no bytes, and a client may have asked for such a room. 7.0 and ``True`` are the
    rooms 7 and 1, as they are in Python.
    """
    if isinstance(room, str):
        return is_text(room)
    if isinstance(room, (int, float)):
        return abs(room) <= LARGEST and room == int(room)
    return room is None


def check_can_be_left(room: Any) -> None:
    """Do nothing if a client can leave a room without leaving the server.

    Raises:
        ValueError: It is ``None``, the room of everybody.
    """
    if room is None:
        raise ValueError("None is the room of everybody, which is only left by a disconnect")


def stored_name(namespace: str, room: Any) -> str:
    """Return the name that a room of the host's has in a store; ``None`` is the room of everybody."""
    if isinstance(room, str):
        return (_name if len(room) <= LONGEST_KEPT else _name.__wrapped__)(namespace, room)
    return _name(namespace, None if room is None else int(room))


@lru_cache(maxsize=4096)
def _name(namespace: str, room: str | int | None) -> str:
    return f"{MARK}{namespace}\0{dumps(room)}"


def is_stored_name(name: str) -> bool:
    """Tell whether a room in a store is one that no peer can ask for: the host's, or the service's own."""
    return name.startswith(MARK)
