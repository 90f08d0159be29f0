"""What the backends' contract does not show: what is published, what nodes settle, and how long things stay."""

from __future__ import annotations

from collections.abc import Sequence

from walkie_signal.core.changes import Left, Member
from walkie_signal.core.ledger import STAYS, Ledger, Published
from walkie_signal.core.replicas import NOWHERE, Entered, Entry, Replica, Settled, Swapped, Version
from walkie_signal.core.values import ABSENT, Value


def member(peer_id: str, room: str = "r", node: str = "n") -> Member:
    return Member(peer_id, room, None, None, node)


def entry(peer_id: str, since: int, node: str = "n") -> Entry:
    return Entry(member(peer_id, node=node), since)


def copied(published: Sequence[Published]) -> Replica:
    """Return the copy of one that has heard everything about a room."""
    replica = Replica("r")
    replica.adopt(Ledger().roster("r", 0))
    for _, version, event in published:
        replica.take(version, event)
    return replica


def test_each_step_counts_one_change_of_the_room_and_the_next_room_begins_anew() -> None:
    ledger = Ledger()
    steps = [
        ledger.join(member("a"), 9, 10),
        ledger.join(member("b"), 9, 20),
        ledger.join(member("a"), 9, 30),
        ledger.leave("r", "b", "n", "left", 40),
        ledger.leave("r", "a", "n", "timeout", 50),
        ledger.join(member("c"), 9, 60),
    ]
    assert [published for _, published in steps] == [
        [("r", (10, 1), Entered(entry("a", 10)))],
        [("r", (10, 2), Entered(entry("b", 20)))],
        [("r", (10, 3), Entered(entry("a", 10)))],
        [("r", (10, 4), Left("r", "b", "left"))],
        [("r", (10, 5), Left("r", "a", "timeout"))],
        [("r", (60, 1), Entered(entry("c", 60)))],
    ]


def test_a_step_that_changes_nothing_publishes_nothing() -> None:
    ledger = Ledger()
    ledger.join(member("a"), 1, 10)
    before = ledger.roster("r", 20)
    assert ledger.join(member("b"), 1, 20) == (False, [])
    assert ledger.leave("r", "b", "n", "left", 20) == (False, [])
    assert ledger.leave("r", "a", "another", "left", 20) == (False, [])
    assert ledger.settle("r", "n", "left", {"a": None}, 20) == ([], [])
    assert ledger.settle("q", "n", "left", {"a": None}, 20) == ([], [])
    assert ledger.swap("r", "k", 7, "text", 20, node="n") == ("lost", [])
    assert ledger.swap("q", "k", 0, "text", 20, node="n") == ("gone", [])
    assert ledger.roster("r", 20) == before
    assert (ledger.rooms(20), ledger.roster("q", 20).version) == (["r"], NOWHERE)


def test_a_node_s_word_about_its_members_holds_and_touches_no_others() -> None:
    ledger = Ledger()
    for each in (member("a"), member("b"), member("x", node="m")):
        ledger.join(each, 9, 10)
    removed, published = ledger.settle("r", "n", "disconnected", {"b": None, "c": entry("c", 5)}, 20)
    assert removed == [entry("a", 10)]
    settled = Settled("n", "disconnected", (entry("b", 10), entry("c", 5)))
    assert published == [("r", (10, 4), settled)]
    assert {each.member.peer_id for each in ledger.roster("r", 20).entries} == {"b", "c", "x"}


def test_the_rooms_of_a_node_are_those_that_it_has_members_in() -> None:
    ledger = Ledger()
    for each in (member("a"), member("b", "q"), member("x", node="m"), member("y", "other", node="m")):
        ledger.join(each, 9, 10)
    assert sorted(ledger.rooms_of("n", 20)) == ["q", "r"]
    assert sorted(ledger.rooms_of("m", 20)) == ["other", "r"]
    assert ledger.rooms_of("gone", 20) == []


def test_a_dead_node_is_removed_from_a_room() -> None:
    ledger = Ledger()
    for each in (member("a"), member("x", node="m")):
        ledger.join(each, 9, 10)
    removed, published = ledger.settle("r", "n", "node_lost", {}, 20)
    assert [each.member.peer_id for each in removed] == ["a"]
    assert [event for _, _, event in published] == [Settled("n", "node_lost", ())]


def test_who_writes_back_that_it_has_nobody_is_seen_for_a_while() -> None:
    ledger = Ledger()
    ledger.settle("r", "n", "disconnected", {}, 10, writes_back=())
    assert ledger.roster("r", 10 + STAYS - 1).settled == {"n"}
    assert ledger.rooms(10) == []
    assert ledger.roster("r", 10 + STAYS) == (NOWHERE, (), frozenset(), ())


def test_what_is_written_back_is_there_unless_there_is_something_newer() -> None:
    ledger = Ledger()
    old, new = Value("old", 3, 0, "n", "old"), Value("new", 9, 0, "n", "new")
    ledger.settle("r", "m", "disconnected", {}, 10, writes_back=[old, new])
    newer, older = old._replace(version=4, node="m"), new._replace(version=8, node="m")
    mine = {"a": entry("a", 1)}
    _, published = ledger.settle("r", "n", "disconnected", mine, 20, writes_back=[newer, older])
    assert [event for _, _, event in published[1:]] == [Swapped(newer)]
    assert {ledger.read("r", key, 30) for key in ("old", "new")} == {newer, new}
    assert ledger.roster("r", 30).settled == {"m", "n"}


def test_versions_of_a_value_never_come_again() -> None:
    """The next room of a name must not take the swap of one that has read a value of the room before."""
    ledger = Ledger()
    versions = []
    for now in (10, 20):
        ledger.join(member("a"), 9, now)
        assert ledger.swap("r", "k", 0, "first", now, node="n")[0] == "swapped"
        versions.append(ledger.read("r", "k", now).version)
        assert ledger.swap("r", "k", versions[-1], "second", now, node="n")[0] == "swapped"
        versions.append(ledger.read("r", "k", now).version)
        ledger.leave("r", "a", "n", "left", now + 5)
    assert versions == [10, 11, 20, 21]


def test_a_value_stays_as_long_as_it_was_told_to() -> None:
    ledger = Ledger()
    ledger.join(member("a"), 9, 10)
    for key, keep in (("none", 0), ("short", 5), ("long", 50)):
        ledger.swap("r", key, 0, key, 10, node="n", keep=keep)
    ledger.join(member("b"), 9, 40)
    assert len(ledger.roster("r", 40).values) == 3, "with members, all stay"
    for peer_id in "ab":
        ledger.leave("r", peer_id, "n", "left", 41)
    assert [each.key for each in ledger.roster("r", 59).values] == ["long"]
    assert ledger.read("r", "long", 60) == ABSENT
    assert not ledger._rooms
    assert not ledger._ending


def test_who_hears_all_that_is_published_knows_the_room() -> None:
    ledger = Ledger()
    published = [
        *ledger.join(member("a"), 9, 10)[1],
        *ledger.swap("r", "k", 0, "text", 11, node="n")[1],
        *ledger.join(member("x", node="m"), 9, 12)[1],
        *ledger.settle("r", "n", "left", {"b": entry("b", 9)}, 13)[1],
        *ledger.swap("r", "k", 11, "another", 14, node="m")[1],
    ]
    replica, roster = copied(published), ledger.roster("r", 20)
    assert replica.version == roster.version == Version(10, 5)
    assert [replica.entry(each.member.peer_id) for each in roster.entries] == list(roster.entries)
    assert tuple(replica.values.values()) == roster.values
