"""The values beside a room, in a node's copy of the room."""

from __future__ import annotations

from walkie_signal.core.changes import Joined, Left, Member
from walkie_signal.core.replicas import Entered, Entry, Replica, Roster, Settled, Swapped, Version
from walkie_signal.core.values import Value

A, B, C = (
    Entry(Member(peer_id, "r", None, None, node), since)
    for peer_id, since, node in (("a", 1, "n"), ("b", 2, "m"), ("c", 3, "m"))
)


def value(text: str, version: int, node: str = "m") -> Value:
    return Value("k", version, 0, node, text)


def with_values(*values: Value) -> Replica:
    replica = Replica("r")
    replica.adopt(Roster(Version(1, 9), (A, B), values=values))
    return replica


def test_values_are_adopted_and_follow_the_changes() -> None:
    replica = with_values(value("first", 3))
    assert replica.values == {"k": value("first", 3)}
    assert replica.take(Version(1, 10), Swapped(value("second", 4))) == []
    assert (replica.version, replica.values) == ((1, 10), {"k": value("second", 4)})
    assert replica.take(Version(1, 10), Swapped(value("again", 5))) == []
    assert replica.values == {"k": value("second", 4)}
    replica.adopt(Roster(Version(1, 12), (A,)))
    assert replica.values == {}


def test_the_values_of_a_room_that_was_empty_are_read_anew() -> None:
    """Which of them have stayed, only the store knows."""
    replica = with_values(value("first", 3))
    for number, peer_id in ((10, "a"), (11, "b")):
        replica.take(Version(1, number), Left("r", peer_id, "left"))
    assert replica.values_of("m") == [], "they may have ended"
    assert replica.take(Version(5, 1), Entered(C)) == []
    assert replica.version is None
    assert replica.adopt(Roster(Version(5, 1), (C,))) == [Joined(C.member)]
    assert replica.values == {}


def test_a_store_that_lost_its_memory_takes_no_value_of_a_node_that_has_not_settled() -> None:
    replica = with_values(value("theirs", 3, "m"), Value("mine", 4, 0, "n", "mine"))
    replica.doubt()
    replica.adopt(Roster(Version(5, 1), (A,), frozenset({"n"})), hold=True)
    assert replica.values == {"k": value("theirs", 3)}
    assert (replica.holds("k"), replica.holds("mine")) == (True, False)
    replica.take(Version(5, 2), Settled("m", "disconnected", (B,)))
    assert replica.holds("k")
    replica.take(Version(5, 3), Swapped(value("theirs", 3)))
    assert not replica.holds("k")
    replica.release()
    assert replica.values == {"k": value("theirs", 3)}


def test_a_value_that_is_not_written_back_in_time_is_gone() -> None:
    replica = with_values(value("theirs", 3))
    replica.doubt()
    replica.adopt(Roster(Version(5, 1), (A,), frozenset({"n"})), hold=True)
    assert replica.values_of("m") == [value("theirs", 3)]
    replica.release()
    assert (replica.values, replica.holds("k")) == ({}, False)


def test_a_value_that_was_held_and_is_there_again_stays() -> None:
    replica = with_values(value("theirs", 3))
    replica.doubt()
    replica.adopt(Roster(Version(5, 1), (A,), frozenset({"n"})), hold=True)
    replica.doubt()
    replica.adopt(Roster(Version(5, 3), (A,), frozenset({"n"}), (value("theirs", 4),)), hold=True)
    assert not replica.holds("k")
    replica.release()
    assert replica.values == {"k": value("theirs", 4)}
