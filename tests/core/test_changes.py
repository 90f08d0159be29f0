from __future__ import annotations

from typing import get_args

from walkie_signal.core.changes import EFFECTS, Change, Joined, Left, Member
from walkie_signal.core.deliveries import deliveries_of
from walkie_signal.core.rooms import Room

A, B = (Member(peer_id, "r", None, None, "node") for peer_id in "ab")


def test_the_table_has_a_row_for_each_kind_of_change() -> None:
    assert set(EFFECTS) == set(get_args(Change))


def test_a_room_and_its_members_are_told_what_the_table_says() -> None:
    for change in (Joined(B), Left("r", "b", "left")):
        room = Room("r")
        for each in (A, B):
            room.apply(Joined(each))
        room.apply(change)
        effect = EFFECTS[type(change)]
        assert (change.room, change.peer_id, "b" in room) == ("r", "b", effect.listed)
        told = [(each.event, list(each.recipients)) for each in deliveries_of(change, room)]
        assert told == [(effect.told, ["a"])]
