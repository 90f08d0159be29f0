from __future__ import annotations

from walkie_signal.core.changes import Joined, Left, Member
from walkie_signal.core.deliveries import Delivery, deliveries_of, introductions_to
from walkie_signal.core.rooms import Room


def room_of(*peer_ids: str) -> Room:
    room = Room("r")
    for peer_id in peer_ids:
        room.apply(Joined(Member(peer_id, "r", None, None, "node")))
    return room


def test_a_joiner_is_announced_in_one_fanout_for_each_part_then_hears_of_each_other() -> None:
    joiner = Member("m", "r", "guard", None, "node")
    room = room_of("a", "z", "b", "m")
    room.apply(Joined(joiner))
    announced = {"peerId": "m", "role": "guard", "room": "r"}
    assert deliveries_of(Joined(joiner), room) == [
        Delivery("new_peer", {**announced, "polite": True}, ["z"]),
        Delivery("new_peer", {**announced, "polite": False}, ["a", "b"]),
    ]
    assert introductions_to(joiner, room) == [
        {"peerId": "a", "room": "r", "polite": True},
        {"peerId": "z", "room": "r", "polite": False},
        {"peerId": "b", "room": "r", "polite": True},
    ]


def test_the_first_one_in_a_room_hears_of_nobody() -> None:
    joiner = Member("m", "r", None, None, "node")
    assert deliveries_of(Joined(joiner), room_of("m")) == []
    assert introductions_to(joiner, room_of("m")) == []


def test_who_stays_hears_who_left_and_why() -> None:
    left = Left("r", "m", "timeout")
    assert deliveries_of(left, room_of("a", "b")) == [
        Delivery("peer_disconnected", {"peerId": "m", "room": "r", "reason": "timeout"}, ["a", "b"])
    ]
