"""The rules of rooms as a whole: what every peer was told, against what is so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from walkie_signal.core.changes import Change, Joined, Left, Member
from walkie_signal.core.deliveries import Delivery, deliveries_of, introductions_to
from walkie_signal.core.registry import Registry

PEERS = st.sampled_from(["a", "b", "c", "d"])
ROOMS = st.sampled_from(["q", "r"])


def test_an_index_knows_the_rooms_of_a_peer_and_who_shares_one() -> None:
    registry = Registry()
    for peer_id, room in (("a", "r"), ("b", "r"), ("b", "q"), ("c", "q")):
        registry.apply(Joined(Member(peer_id, room, None, None, "node")))
    assert registry.rooms_of("b") == ("r", "q")
    assert registry.share_room("a", "b")
    assert registry.share_room("a", "a")
    assert not registry.share_room("a", "c")
    assert not registry.share_room("a", "x")
    assert registry.member("q", "a") is None


def test_nothing_is_kept_of_who_has_left() -> None:
    registry = Registry()
    registry.apply(Joined(Member("a", "r", None, None, "node")))
    registry.apply(Left("r", "a", "left"))
    assert list(registry) == []
    assert registry.rooms_of("a") == ()
    with pytest.raises(LookupError):
        registry.apply(Left("r", "a", "left"))
    assert list(registry) == []


def test_who_steps_out_is_listed_and_shares_its_room_with_nobody() -> None:
    registry = Registry()
    for peer_id, room in (("a", "r"), ("b", "r"), ("a", "q")):
        registry.apply(Joined(Member(peer_id, room, None, None, "node")))
    registry.step_out("a", "r")
    assert [member.peer_id for member in registry.room("r")] == ["a", "b"]
    assert (registry.rooms_of("a"), registry.listed_in("a")) == (("q",), ("q", "r"))
    assert not registry.share_room("a", "b")
    assert registry.fellow("b", "a") is None
    assert registry.hearing("r", ["a", "b"]) == ["b"]
    registry.apply(Joined(Member("a", "r", "late", None, "node")))
    assert not registry.share_room("a", "b"), "a change from before it stepped out is no joining"
    registry.step_in("a", "r")
    assert registry.share_room("a", "b")
    registry.step_out("a", "r")
    registry.forget("r")
    assert registry.listed_in("a") == ("q",)


class Rooms(RuleBasedStateMachine):
    """Joins and leaves at random; each peer keeps what it was told, and the truth is kept beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.registry = Registry()
        self.truth: dict[str, dict[str, Member]] = {}
        self.told: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}

    def apply(self, change: Change) -> None:
        room = self.registry.apply(change)
        deliveries = deliveries_of(change, room)
        if isinstance(change, Joined):
            joiner = change.member
            self.registry.step_in(joiner.peer_id, change.room)
            introductions = introductions_to(joiner, room)
            deliveries += [Delivery("new_peer", each, (joiner.peer_id,)) for each in introductions]
        for delivery in deliveries:
            for recipient in self.registry.hearing(change.room, delivery.recipients):
                assert recipient in self.truth[change.room], "told of a room that it is not in"
                assert (recipient, change.room) in self.told, "told of a room that it steps out of"
                known = self.told[recipient, change.room]
                if delivery.event == "new_peer":
                    known[delivery.payload["peerId"]] = delivery.payload
                else:
                    known.pop(delivery.payload["peerId"])

    @rule(peer_id=PEERS, name=ROOMS, role=st.sampled_from([None, "guard"]))
    def join(self, peer_id: str, name: str, role: str | None) -> None:
        member = Member(peer_id, name, role, None, "node")
        self.truth.setdefault(name, {})[peer_id] = member
        self.told.setdefault((peer_id, name), {})
        self.apply(Joined(member))

    @precondition(lambda self: any(self.truth.values()))
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        name, peer_id = data.draw(st.sampled_from([(n, p) for n, room in self.truth.items() for p in room]))
        del self.truth[name][peer_id]
        self.told.pop((peer_id, name), None)
        self.apply(Left(name, peer_id, "left"))

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def step_out(self, data: st.DataObject) -> None:
        peer_id, name = data.draw(st.sampled_from(sorted(self.told)))
        del self.told[peer_id, name]
        self.registry.step_out(peer_id, name)

    @invariant()
    def each_member_was_told_of_just_the_others(self) -> None:
        for (peer_id, name), known in self.told.items():
            others = {other: member for other, member in self.truth[name].items() if other != peer_id}
            assert known.keys() == others.keys()
            assert all(known[other].get("role") == member.role for other, member in others.items())

    @invariant()
    def of_each_pair_one_is_polite(self) -> None:
        for (peer_id, name), known in self.told.items():
            for other, payload in known.items():
                if (other, name) in self.told:
                    assert payload["polite"] != self.told[other, name][peer_id]["polite"]

    @invariant()
    def the_registry_is_the_truth(self) -> None:
        assert {room.name: {each.peer_id: each for each in room} for room in self.registry} == {
            name: room for name, room in self.truth.items() if room
        }
        for peer_id in "abcd":
            rooms = {name for name, room in self.truth.items() if peer_id in room}
            assert set(self.registry.listed_in(peer_id)) == rooms
            hears = {name for name in rooms if (peer_id, name) in self.told}
            assert set(self.registry.rooms_of(peer_id)) == hears
            assert all(self.registry.is_in(peer_id, name) == (name in hears) for name in "qr")


TestRooms = Rooms.TestCase
TestRooms.settings = settings(max_examples=12, stateful_step_count=15, deadline=None)
