from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from walkie_signal.core.changes import Change, Joined, Left, Member
from walkie_signal.core.replicas import (
    NOWHERE,
    Entered,
    Entry,
    Replica,
    RoomEvent,
    Roster,
    Settled,
    Swapped,
    Version,
)
from walkie_signal.core.values import Value


def entry(peer_id: str, since: int, node: str = "n", role: str | None = None) -> Entry:
    return Entry(Member(peer_id, "r", role, None, node), since)


FLOOR = Value("floor", 7, 0, "m", "b speaks")
A, B, C = entry("a", 1), entry("b", 2, "m"), entry("c", 3, "m")


def known(*entries: Entry, number: int = 9) -> Replica:
    replica = Replica("r")
    replica.adopt(Roster(Version(1, number), entries))
    return replica


def members(replica: Replica) -> list[str]:
    return [peer_id for peer_id in "abcd" if replica.entry(peer_id) is not None]


def test_a_roster_is_adopted_in_the_order_of_joining() -> None:
    replica = Replica("r")
    changes = replica.adopt(Roster(Version(1, 3), (C, A, B)))
    assert changes == [Joined(A.member), Joined(B.member), Joined(C.member)]
    assert replica.version == (1, 3)


def test_the_next_change_is_taken_and_one_that_was_seen_is_not() -> None:
    replica = known(A)
    assert replica.take(Version(1, 10), Entered(B)) == [Joined(B.member)]
    assert replica.take(Version(1, 10), Entered(B)) == []
    assert replica.take(Version(1, 11), Left("r", "a", "kicked")) == [Left("r", "a", "kicked")]
    assert replica.take(Version(1, 9), Entered(C)) == []
    assert members(replica) == ["b"]


def test_a_store_that_gives_an_earlier_roster_of_the_same_room_has_forgotten_something() -> None:
    replica = known(A)
    replica.take(Version(1, 10), Entered(B))
    replica.doubt()
    told = {
        version: replica.is_ahead_of(Roster(version))
        for version in (Version(1, 9), Version(1, 10), Version(1, 11), Version(2, 1), NOWHERE)
    }
    assert [version for version, forgotten in told.items() if forgotten] == [(1, 9)]
    assert not Replica("r").is_ahead_of(Roster(NOWHERE))


def test_a_change_of_an_unknown_kind_that_another_one_denies_was_none() -> None:
    replica = known(A)
    assert replica.take(Version(1, 10), None) == []
    assert replica.take(Version(1, 10), None) == []
    assert replica.version == (1, 10)
    assert replica.take(Version(1, 10), Entered(B)) == []
    assert replica.version is None
    assert replica.adopt(Roster(Version(1, 10), (A, B))) == [Joined(B.member)]


def test_being_announced_again_is_a_change_each_time() -> None:
    replica = known(A)
    assert replica.take(Version(1, 10), Entered(A)) == [Joined(A.member)]


def test_a_member_that_its_own_node_has_taken_out_is_not_taken_in_again() -> None:
    """The store may list it still, or list it though its join was given up."""
    gone = {"b"}
    replica = Replica("r", lambda member: member.peer_id in gone)
    assert replica.adopt(Roster(Version(1, 3), (A, B, C))) == [Joined(A.member), Joined(C.member)]
    assert (replica.refused, members(replica)) == ([B.member], ["a", "c"])
    assert replica.take(Version(1, 4), Entered(B)) == []
    assert replica.take(Version(1, 5), Left("r", "b", "left")) == []
    gone.clear()
    assert replica.take(Version(1, 6), Entered(B)) == [Joined(B.member)]
    gone.add("b")
    assert replica.take(Version(1, 7), Entered(B)) == [Joined(B.member)], "it is not out yet"


def test_a_gap_waits_for_a_roster_and_then_goes_on() -> None:
    replica = known(A)
    assert replica.take(Version(1, 11), Left("r", "b", "left")) == []
    assert replica.version is None
    assert replica.take(Version(1, 12), Entered(C)) == []
    assert replica.adopt(Roster(Version(1, 10), (A, B))) == [
        Joined(B.member), Left("r", "b", "left"), Joined(C.member)
    ]  # fmt: skip
    assert replica.version == (1, 12)


def test_a_gap_behind_the_roster_waits_for_another() -> None:
    replica = known()
    replica.take(Version(1, 13), Entered(C))
    replica.adopt(Roster(Version(1, 11), (A,)))
    assert replica.version is None
    replica.adopt(Roster(Version(1, 13), (A, C)))
    assert replica.version == Version(1, 13)
    assert members(replica) == ["a", "c"]


def test_an_older_roster_changes_nothing() -> None:
    replica = known(A, B)
    assert replica.adopt(Roster(Version(1, 9), ())) == []
    assert members(replica) == ["a", "b"]


def test_a_room_that_begins_anew_is_followed_and_one_that_was_missed_is_read() -> None:
    ended = known(A)
    ended.take(Version(1, 10), Left("r", "a", "left"))
    assert ended.take(Version(5, 1), Entered(B)) == [Joined(B.member)]
    missed = known(A)
    assert missed.take(Version(5, 1), Entered(B)) == []
    assert missed.version is None
    assert missed.adopt(Roster(Version(5, 1), (B,))) == [Left("r", "a", "disconnected"), Joined(B.member)]


def test_a_room_that_begins_anew_after_the_clock_was_set_back_is_followed_if_it_was_empty() -> None:
    ended = Replica("r")
    ended.adopt(Roster(Version(9, 3), (A,)))
    ended.take(Version(9, 4), Left("r", "a", "left"))
    assert ended.take(Version(5, 1), Entered(B)) == [Joined(B.member)]
    assert ended.take(Version(5, 2), Entered(C)) == [Joined(C.member)]


def test_a_change_of_an_earlier_epoch_is_looked_into_unless_a_roster_has_it() -> None:
    replica = Replica("r")
    replica.adopt(Roster(Version(9, 3), (A,)))
    assert replica.take(Version(5, 1), Entered(B)) == []
    assert replica.version is None
    assert replica.adopt(Roster(Version(9, 3), (A,))) == []
    assert replica.version == (9, 3)


def test_an_event_of_an_unknown_kind_counts_and_changes_nothing() -> None:
    replica = known(A)
    assert replica.take(Version(1, 10), None) == []
    assert replica.take(Version(1, 11), Entered(B)) == [Joined(B.member)]
    assert replica.take(Version(1, 13), None) == []
    assert replica.version is None


def test_a_room_that_is_gone_takes_its_members_along() -> None:
    replica = known(A, B)
    replica.doubt()
    assert replica.adopt(Roster(NOWHERE)) == [
        Left("r", "a", "disconnected"), Left("r", "b", "disconnected")
    ]  # fmt: skip


def test_who_left_and_came_back_unseen_is_announced_again() -> None:
    replica = known(A)
    replica.doubt()
    again = entry("a", 7)
    assert replica.adopt(Roster(Version(1, 20), (again,))) == [Joined(again.member)]


def test_a_store_without_memory_removes_nobody_whose_node_has_not_settled() -> None:
    replica = known(A, B, C)
    replica.doubt()
    assert replica.adopt(Roster(Version(5, 1), (A,), frozenset("n")), hold=True) == []
    assert replica.take(Version(5, 2), Settled("m", "disconnected", (C,))) == [Left("r", "b", "disconnected")]
    assert replica.release() == []
    assert members(replica) == ["a", "c"]


def test_who_left_meanwhile_is_gone_as_soon_as_the_node_has_settled() -> None:
    replica = known(A, B, C)
    replica.doubt()
    roster = Roster(Version(5, 2), (A, C), frozenset(("n", "m")))
    assert replica.adopt(roster, hold=True) == [Left("r", "b", "disconnected")]


def test_whose_node_never_settles_is_lost_in_the_end() -> None:
    replica = known(A, B)
    replica.doubt()
    replica.adopt(Roster(Version(5, 1), (A,), frozenset("n")), hold=True)
    assert replica.release() == [Left("r", "b", "node_lost")]
    assert replica.release() == []


def test_a_value_is_held_until_its_node_has_written_it_back() -> None:
    replica = known(B)
    replica.take(Version(1, 10), Swapped(FLOOR))
    replica.doubt()
    replica.adopt(Roster(Version(5, 1), (B,)), hold=True)
    assert replica.holds("floor")
    replica.take(Version(5, 2), Swapped(FLOOR))
    assert not replica.holds("floor")


def test_a_value_of_a_room_that_had_ended_is_not_held() -> None:
    """A value goes with the last member, so nobody will write it back."""
    replica = known(B)
    replica.take(Version(1, 10), Swapped(FLOOR))
    replica.take(Version(1, 11), Left("r", "b", "left"))
    replica.doubt()
    replica.adopt(Roster(Version(5, 1), (A,)), hold=True)
    assert not replica.holds("floor")
    assert replica.values == {}


def test_one_that_is_held_and_joins_again_is_held_no_more() -> None:
    replica = known(B)
    replica.doubt()
    replica.adopt(Roster(NOWHERE), hold=True)
    assert replica.version is not None
    assert replica.take(Version(5, 1), Entered(B)) == []
    replica.adopt(Roster(Version(5, 1), (B,)), hold=True)
    assert replica.release() == []
    assert members(replica) == ["b"]


def test_settling_makes_a_nodes_members_those_that_it_lists() -> None:
    replica = known(A, B)
    assert replica.take(Version(1, 10), Settled("m", "node_lost", (C,))) == [
        Left("r", "b", "node_lost"), Joined(C.member)
    ]  # fmt: skip
    assert replica.take(Version(1, 11), Settled("m", "node_lost", (C,))) == []
    assert [each.member.peer_id for each in replica.entries_of("m")] == ["c"]


def test_a_member_is_withdrawn_once() -> None:
    replica = known(A)
    assert replica.withdraw("a", "timeout") == [Left("r", "a", "timeout")]
    assert replica.withdraw("a", "timeout") == []
    assert replica.take(Version(1, 10), Left("r", "a", "timeout")) == []
    assert replica.version == (1, 10)


class Store:
    """The order of one room's changes, as a store keeps it."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.clock = 1_000_000
        self.version = NOWHERE
        self.published: list[tuple[Version, RoomEvent]] = []

    def change(self, peer_id: str, passed: int) -> None:
        self.clock += passed
        before = self.version if self.entries else Version(self.clock, 0)
        if peer_id in self.entries:
            del self.entries[peer_id]
            event: RoomEvent = Left("r", peer_id, "left")
        else:
            event = Entered(entry(peer_id, self.clock))
            self.entries[peer_id] = event.entry
        self.version = before._replace(number=before.number + 1)
        self.published.append((self.version, event))

    def roster(self) -> Roster:
        return Roster(self.version if self.entries else NOWHERE, tuple(self.entries.values()))


class Follower:
    """A copy, and what whoever is told of its changes has seen."""

    def __init__(self) -> None:
        self.replica = Replica("r")
        self.seen: dict[str, Member] = {}

    def make(self, changes: list[Change]) -> None:
        for change in changes:
            if isinstance(change, Joined):
                self.seen[change.member.peer_id] = change.member
            else:
                del self.seen[change.peer_id]  # who is no member never leaves

    def hear(self, store: Store, chance: random.Random) -> None:
        while store.published and chance.random() < 0.6:
            event = store.published.pop(0)
            if chance.random() < 0.1:
                self.replica.doubt()  # a connection was lost, and this with it
            else:
                self.make(self.replica.take(*event))


@settings(max_examples=25)
@given(st.lists(st.sampled_from("abcd"), max_size=30), st.randoms(use_true_random=False))
def test_whatever_is_lost_a_copy_that_reads_rosters_ends_like_the_store(
    steps: list[str], chance: random.Random
) -> None:
    """Changes are delivered late, lost, or beside a roster that was read earlier or later."""
    store, follower = Store(), Follower()
    roster = store.roster()
    for step in steps:
        store.change(step, chance.choice((1000, 1000, 1000, -4999)))  # its clock may be set back
        if chance.random() < 0.3:
            roster = store.roster()
        follower.hear(store, chance)
        if follower.replica.version is None and chance.random() < 0.5:
            follower.make(follower.replica.adopt(roster))
    follower.replica.doubt()
    follower.make(follower.replica.adopt(store.roster()))
    for event in store.published:
        follower.make(follower.replica.take(*event))
    if follower.replica.version is None:
        follower.make(follower.replica.adopt(store.roster()))
    assert follower.seen == {peer_id: each.member for peer_id, each in store.entries.items()}
