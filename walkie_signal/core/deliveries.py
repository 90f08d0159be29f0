"""Who is told what about a change. These functions of a room and a change keep no state.

A fan-out is one value: one payload and its recipients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from typing_extensions import assert_never

from walkie_signal.core.changes import EFFECTS, Change, Joined, Left, Member
from walkie_signal.core.payloads import Payload, is_polite, new_peer, peer_disconnected, room_status
from walkie_signal.core.rooms import Room


class Delivery(NamedTuple):
    """One event with one payload, for one or many peers."""

    event: str
    payload: Payload
    recipients: Sequence[str]


def deliveries_of(change: Change, room: Room) -> list[Delivery]:
    """Return what a room's members are told about the change just made, except ``room_status``."""
    told = EFFECTS[type(change)].told
    if isinstance(change, Joined):
        return _announced(told, change.member, room)
    if isinstance(change, Left):
        payload = peer_disconnected(change.peer_id, change.room, change.reason)
        return [Delivery(told, payload, [member.peer_id for member in room])]
    assert_never(change)


def status_of(room: Room) -> Delivery:
    """Return the roster of a room, for each of its members."""
    return Delivery("room_status", room_status(room.name, room), [member.peer_id for member in room])


def _announced(told: str, joiner: Member, room: Room) -> list[Delivery]:
    """Announce a joiner to the other members: one fan-out to the polite ones, one to the others."""
    peer_id = joiner.peer_id
    others = [member.peer_id for member in room if member.peer_id != peer_id]
    return [
        Delivery(told, new_peer(joiner, polite=polite), recipients)
        for polite in (True, False)
        if (recipients := [other for other in others if is_polite(other, peer_id) is polite])
    ]


def introductions_to(joiner: Member, room: Room) -> list[Payload]:
    """Return a ``new_peer`` about each other member, for the joiner; they are sent after the ack of each join."""
    peer_id = joiner.peer_id
    return [
        new_peer(other, polite=is_polite(peer_id, other.peer_id))
        for other in room
        if other.peer_id != peer_id
    ]
