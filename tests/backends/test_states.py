"""The states of the copies of rooms and of the way to the store, and which node a process is."""

from __future__ import annotations

import asyncio

import pytest

from walkie_signal.backends.shared import states, uplink_states
from walkie_signal.backends.shared.copies import RoomCopy
from walkie_signal.backends.shared.incarnation import Incarnation
from walkie_signal.backends.shared.states import State
from walkie_signal.core.changes import Joined, Member
from walkie_signal.core.replicas import NOWHERE, Entry, Roster, Version


@pytest.mark.parametrize("table", [states, uplink_states])
def test_each_state_has_a_way_in_and_a_way_out(table: object) -> None:
    transitions = table.TRANSITIONS  # type: ignore[attr-defined]
    assert set(transitions) == set(table.State)  # type: ignore[attr-defined]
    for state, steps in transitions.items():
        assert set(steps.values()) - {state}, f"{state} has no way out"
        others = [following for other, following in transitions.items() if other is not state]
        assert any(state in following.values() for following in others), f"{state} has no way in"


def state_of(copy: RoomCopy) -> State:
    return copy.state


@pytest.fixture
async def copy() -> RoomCopy:
    node = Incarnation()
    node.begin()
    return RoomCopy("r", node, asyncio.get_running_loop().create_future())


async def test_an_impossible_step_is_refused_and_changes_nothing(copy: RoomCopy) -> None:
    copy.adopt(Roster(Version(7, 1)), hold=False)
    with pytest.raises(RuntimeError, match="what is RESTING can't READ"):
        copy.read()
    assert (copy.state, copy.version) == (State.RESTING, Version(7, 1))
    assert copy.read_at < 0


async def test_one_task_reads_a_copy_until_nothing_casts_doubt_on_it_any_more(copy: RoomCopy) -> None:
    assert copy.doubt()
    assert not copy.doubt(), "a second task would read it"
    copy.read()
    assert not copy.doubt(), "a second task would read it"
    copy.adopt(Roster(Version(7, 1)), hold=False)
    copy.answered()
    assert state_of(copy) is State.DUE, "the doubt came after the reading began"
    copy.read()
    copy.answered()
    assert state_of(copy) is State.DUE, "it was answered, but its copy still lacks changes"
    copy.read()
    copy.adopt(Roster(Version(7, 2)), hold=False)
    copy.answered()
    assert state_of(copy) is State.RESTING


async def test_who_finds_a_strange_key_does_not_stop_the_task_that_reads_it(copy: RoomCopy) -> None:
    copy.doubt()
    copy.read()
    copy.set_aside()
    assert copy.healing
    copy.give_up()
    copy.set_aside()
    assert state_of(copy) is State.ASIDE
    copy.adopt(Roster(NOWHERE), hold=False)
    assert state_of(copy) is State.RESTING, "it has been read, so its key is not strange"


async def test_a_joining_that_changes_nothing_is_made_all_the_same(copy: RoomCopy) -> None:
    member = Member("a", "r", None, None, copy._incarnation.id)
    roster = Roster(Version(7, 1), (Entry(member, 77),))
    copy.join(member)
    assert copy.adopt(roster, hold=False) == [Joined(member)]
    copy.end("a")
    copy.join(member)
    assert copy.adopt(roster._replace(version=Version(7, 2)), hold=False) == [Joined(member)]
    copy.applied("a")
    assert copy.adopt(roster._replace(version=Version(7, 3)), hold=False) == []


def test_a_node_that_goes_on_as_another_still_finds_that_the_store_has_lost_its_memory() -> None:
    node = Incarnation()
    node.begin()
    assert not node.register("1:first"), "it is the first that it sees"
    assert node.known == "1:first"
    before = node.id
    node.go_on()
    assert node.id != before
    assert node.known == "", "the store has not been told of the other node"
    assert node.register("1:second")
    assert not node.register("1:second")


def test_a_node_hears_its_own_beats_alone() -> None:
    node = Incarnation()
    node.begin()
    for number in (node.beat(), 99, 0):
        node.hear(number)
    assert (node.sent, node.heard) == (1, 1)
    node.beat()
    node.listen()
    assert node.heard == 2, "what was sent on a former connection does not come back"
