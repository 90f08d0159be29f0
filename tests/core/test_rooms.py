from __future__ import annotations

import pytest

from walkie_signal.core.changes import Joined, Left, Member
from walkie_signal.core.rooms import Room


def member(peer_id: str, room: str = "r", role: str | None = None) -> Member:
    return Member(peer_id, room, role, None, "node")


def test_a_room_holds_who_joined_and_did_not_leave_in_the_order_of_joining() -> None:
    room = Room("r")
    for peer_id in ("b", "a", "c"):
        room.apply(Joined(member(peer_id)))
    assert room.apply(Left("r", "a", "left")) == member("a")
    assert [each.peer_id for each in room] == ["b", "c"]
    assert [each.peer_id for each in room.others("b")] == ["c"]
    assert ("a" in room, "b" in room, len(room)) == (False, True, 2)


def test_joining_again_replaces_and_keeps_the_place() -> None:
    room = Room("r")
    for each in (member("a"), member("b"), member("a", role="lead")):
        room.apply(Joined(each))
    assert list(room) == [member("a", role="lead"), member("b")]


@pytest.mark.parametrize(
    "change", [Left("r", "x", "left"), Left("q", "a", "left"), Joined(member("a", room="q"))]
)
def test_an_impossible_change_is_refused_and_leaves_the_room_as_it_was(change: Joined | Left) -> None:
    room = Room("r")
    room.apply(Joined(member("a")))
    with pytest.raises((LookupError, ValueError)):
        room.apply(change)
    assert list(room) == [member("a")]
