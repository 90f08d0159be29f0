"""What a host's server does with clients, wherever they are: rooms entered, left and closed, and disconnects."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from emits.listeners import Two, all_heard, entered
from support.waiting import eventually

SITE = UUID(int=7)
LONE = "\ud800"
"""A room that any client can name."""
pytestmark = pytest.mark.promise(
    "Hosts",
    "Each call of the host's server reaches clients on every node: emits, rooms, answers, disconnects",
)


async def test_a_client_elsewhere_enters_and_leaves_rooms(hosts: Two) -> None:
    one, other = hosts
    target, beside = other.clients
    await one.sio.enter_room(target.sid, "ward")
    assert set(other.sio.rooms(target.sid)) == {target.sid, "ward"}
    await one.sio.emit("told", 1, room="ward")
    await target.hears("told", 1)
    await one.sio.leave_room(target.sid, "ward")
    await one.sio.enter_room(beside.sid, "ward")
    await one.sio.emit("told", 2, room="ward")
    await beside.hears("told", 2)
    await one.sio.close_room("ward")
    await one.sio.emit("told", 3, room="ward")
    await one.sio.emit("told", 4)
    await all_heard(one, target, beside)
    assert (target.told("told"), beside.told("told")) == ([1, 4], [2, 4])
    await one.sio.leave_room("nobody-has-this-sid-0", "ward")
    if one.app is not other.app:
        await one.sio.enter_room("nobody-has-this-sid-0", "ward")
    await one.sio.close_room("nobody is in it")


async def test_a_room_that_is_entered_as_a_float_is_that_of_the_integer(hosts: Two) -> None:
    """As clients in Dart and Python may name it: whoever comes first, others in it hear."""
    one, other = hosts
    first, second = other.clients
    await other.sio.enter_room(first.sid, 7.0)
    await other.sio.enter_room(second.sid, 7)
    await one.reaches(second, 7)


async def test_the_own_room_of_another_client_can_not_be_entered_nor_closed(hosts: Two) -> None:
    one, other = hosts
    with pytest.raises(ValueError, match="sid"):
        await one.sio.enter_room(one.clients[0].sid, other.clients[0].sid)
    with pytest.raises(ValueError, match="room"):
        await one.sio.enter_room(other.clients[0].sid, other.clients[1].sid)
    with pytest.raises(ValueError, match="sid"):
        await one.sio.close_room(other.clients[0].sid)
    await one.sio.emit("told", 1, to=other.clients[0].sid)
    await other.clients[0].hears("told", 1)


async def test_the_room_of_everybody_can_not_be_left_nor_closed(hosts: Two) -> None:
    one, other = hosts
    with pytest.raises(ValueError, match="everybody"):
        await one.sio.close_room(None)
    for client in (one.clients[0], other.clients[0]):
        with pytest.raises(ValueError, match="everybody"):
            await one.sio.leave_room(client.sid, None)
        await one.sio.emit("told", 1)
        await client.hears("told", 1)


async def test_a_fault_in_an_order_is_told_to_who_has_ordered(
    hosts: Two, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = hosts

    async def fails(*_: Any) -> None:
        raise LookupError("a fault of the host")

    monkeypatch.setattr(other.sio.manager, "enter_room", fails)
    with pytest.raises((LookupError, RuntimeError), match="a fault of the host"):
        await one.sio.enter_room(other.clients[0].sid, "ward")
    if one.app is not other.app:
        assert "a fault in what another node has ordered" in caplog.text


async def test_a_client_elsewhere_is_disconnected(hosts: Two) -> None:
    one, other = hosts
    gone = asyncio.Event()
    target = other.clients[0]
    target.sio.on("disconnect", lambda _reason: gone.set())
    sid = target.sid
    await one.sio.disconnect(sid)
    await asyncio.wait_for(gone.wait(), 5)
    await one.sio.disconnect(sid)
    await one.sio.emit("told", 1)
    await all_heard(one, other.clients[1])
    assert other.clients[1].told("told") == [1]


async def test_what_belongs_to_a_node_is_refused_on_another(hosts: Two) -> None:
    one, other = hosts
    here, there = one.clients[0].sid, other.clients[0].sid
    await one.sio.save_session(here, {"name": "eve"})
    assert await one.sio.get_session(here) == {"name": "eve"}
    assert one.sio.rooms(here) == [here]
    if one.app is other.app:
        return
    for asked in (one.sio.get_session(there), one.sio.save_session(there, {})):
        with pytest.raises(KeyError, match="on this node"):
            await asked
    with pytest.raises(KeyError, match="on this node"):
        one.sio.rooms(there)


async def test_rooms_that_other_nodes_can_not_know_stay_here_with_a_line(
    hosts: Two, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = hosts
    await entered(hosts, SITE, *one.clients)
    await one.sio.emit("told", 1, room=SITE)
    await all_heard(one, *one.clients)
    assert [client.told("told") for client in one.clients] == [[1], [1]]
    await one.sio.leave_room(one.clients[0].sid, SITE)
    await one.sio.close_room(SITE)
    if one.app is not other.app:
        assert "called by a UUID are known on this node alone" in caplog.text
        with pytest.raises(TypeError, match="UUID"):
            await one.sio.enter_room(other.clients[0].sid, SITE)


async def test_a_room_that_has_no_bytes_harms_nobody(hosts: Two) -> None:
    one, other = hosts
    target = one.clients[0]
    await one.sio.enter_room(target.sid, LONE)
    await one.sio.enter_room(target.sid, "ward")
    await one.sio.emit("told", 1, room=LONE)
    await target.hears("told", 1)
    sid = target.sid
    await one.sio.disconnect(sid)
    await eventually(lambda: sid not in one.sio.manager.rooms["/"].get("ward", ()))
    if one.app is not other.app:
        await one.sio.disconnect(LONE)
        await one.sio.enter_room(LONE, "ward")
        await one.sio.leave_room(LONE, "ward")
        await one.sio.emit("told", 2, skip_sid=LONE)
        await other.clients[0].hears("told", 2)
    assert not any(sid in each for each in one.sio.manager._entered)
    await one.reaches(other.clients[0])
