"""What whom is told of a change: a function of the room and the change, with no state of its own.

A fan-out is one value: one payload, and the recipients that it goes to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from walkie_signal.core.payloads import Payload, is_polite, new_peer, peer_disconnected
from walkie_signal.core.rooms import Change, Joined, Member, Room


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event with one payload, for one or many peers."""

    event: str
    payload: Payload
    recipients: Sequence[str]


def deliveries_of(change: Change, room: Room) -> list[Delivery]:
    """Tell those who are in a room what follows from a change that it has just made, ``room_status`` apart."""
    if isinstance(change, Joined):
        return _announced(change.member, room.others(change.member.peer_id))
    payload = peer_disconnected(change.peer_id, change.room, change.reason)
    return [Delivery("peer_disconnected", payload, [member.peer_id for member in room])]


def _announced(joiner: Member, others: Sequence[Member]) -> list[Delivery]:
    """The joiner, to the members that are there; one fan-out for each part that they play towards it."""
    parts: dict[bool, list[str]] = {True: [], False: []}
    for other in others:
        parts[is_polite(other.peer_id, joiner.peer_id)].append(other.peer_id)
    return [
        Delivery("new_peer", new_peer(joiner, joiner.room, polite=polite), recipients)
        for polite, recipients in parts.items()
        if recipients
    ]


def introductions_to(joiner: Member, room: Room) -> list[Delivery]:
    """Tell a joiner of the members that are there, one by one: behind its ack, and once for each join."""
    return [
        Delivery(
            "new_peer",
            new_peer(other, joiner.room, polite=is_polite(joiner.peer_id, other.peer_id)),
            (joiner.peer_id,),
        )
        for other in room.others(joiner.peer_id)
    ]
