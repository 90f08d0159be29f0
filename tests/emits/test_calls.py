"""What each call of a host's server does, on one node and across two, as python-socketio's own manager has it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
import socketio

from emits.listeners import Host
from support.waiting import eventually
from walkie_signal.core.emits import stored_name

Two = tuple[Host, Host]
SITE = UUID(int=7)
LONE = "\ud800"
"""A room that any client can name."""
pytestmark = pytest.mark.promise(
    "Hosts",
    "Each call of the host's server reaches clients on every node: emits, rooms, answers, disconnects",
)


async def entered(hosts: Two, room: Any, *clients: Any) -> None:
    """Let clients of either node enter a room, and wait until the first node knows it."""
    for client in clients:
        await next(host for host in hosts if client in host.clients).sio.enter_room(client.sid, room)
    for client in clients:
        await hosts[0].reaches(client, room)


async def all_heard(host: Host, *clients: Any) -> None:
    """Wait until clients have heard all that was emitted on a node until now."""
    for client in clients:
        await host.sio.emit("mark", client.sid, to=client.sid)
    for client in clients:
        await client.hears("mark", client.sid)


@pytest.mark.parametrize("room", ["ward", 7, "ätherwelle \x1e\n", "x" * 200, ""], ids=repr)
async def test_a_room_s_members_hear_in_order_and_nobody_else(hosts: Two, room: Any) -> None:
    one, other = hosts
    members, outside = (one.clients[0], other.clients[0]), (one.clients[1], other.clients[1])
    await entered(hosts, room, members[0])
    await entered(hosts, room, members[1])
    for number in range(50):
        await one.sio.emit("tick", {"n": number, "data": bytes([number]) * 320}, room=room)
    await all_heard(one, *members, *outside)
    expected = [{"n": number, "data": bytes([number]) * 320} for number in range(50)]
    assert [client.told("tick") for client in members + outside] == [expected, expected, [], []]


async def test_emits_side_by_side_to_a_room_that_is_not_known_yet_keep_their_order(hosts: Two) -> None:
    one, other = hosts
    (target, _) = other.clients
    for room in range(20):
        await other.sio.enter_room(target.sid, room)
        emits = []
        for number in range(30):
            emits.append(asyncio.create_task(one.sio.emit("tick", [room, number], room=room)))
            await asyncio.sleep(0)  # one in each turn of the loop, while the store is asked
        await asyncio.gather(*emits)
    await all_heard(one, target)
    assert target.told("tick") == [[room, number] for room in range(20) for number in range(30)]


async def test_several_rooms_and_a_skipped_sid(hosts: Two) -> None:
    """A client in two of them hears an event once."""
    one, other = hosts
    both, skipped = other.clients
    await entered(hosts, "a", both, skipped)
    await entered(hosts, "b", both)
    await one.sio.emit("told", 1, room=["a", "b", "nobody's"], skip_sid=skipped.sid)
    await one.sio.emit("told", 2, to=["b", one.clients[0].sid], skip_sid=[skipped.sid, "unknown"])
    await all_heard(one, both, skipped, *one.clients)
    assert [client.told("told") for client in (both, skipped, *one.clients)] == [[1, 2], [], [2], []]


@pytest.mark.parametrize(
    "data", [None, "text", 0, [1, 2], ("two", "arguments"), {"deep": [b"\x00", {"a": b""}]}]
)
async def test_everybody_hears_the_same_whatever_the_data(hosts: Two, data: Any) -> None:
    one, other = hosts
    await one.sio.emit("emergency_broadcast", data)
    arguments = data if isinstance(data, tuple) else () if data is None else (data,)
    for client in one.clients + other.clients:
        await client.hears("emergency_broadcast", *arguments)
    await one.sio.send({"plain": 1}, to=other.clients[0].sid)
    await other.clients[0].hears("message", {"plain": 1})


async def test_a_client_is_called_and_answers(hosts: Two) -> None:
    one, other = hosts
    target = other.clients[0]
    target.sio.on("ask", lambda *asked: (list(asked), b"\x00\xff"))
    assert await one.sio.call("ask", {"n": 1}, to=target.sid) == ([{"n": 1}], b"\x00\xff")
    target.sio.on("silent", lambda: None)
    assert await one.sio.call("silent", to=target.sid) is None
    with pytest.raises(socketio.exceptions.TimeoutError):
        await one.sio.call("ask", to="nobody-has-this-sid-0", timeout=0.1)


async def test_a_callback_hears_each_answer_of_a_room(hosts: Two) -> None:
    one, other = hosts
    answers: list[Any] = []
    asked = [one.clients[0], *other.clients]
    for client in asked:
        await entered(hosts, "polled", client)
        client.sio.on("ask", lambda number, sid=client.sid: (number, sid))
    await one.sio.emit("ask", 7, room="polled", callback=lambda *answer: answers.append(answer))
    await eventually(lambda: sorted(answers), lambda it: it == sorted((7, client.sid) for client in asked))


async def test_a_fault_in_a_callback_costs_only_that_answer(
    hosts: Two, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = hosts
    target = other.clients[0]
    target.sio.on("ask", lambda: "answer")

    def fails(_answer: str) -> None:
        raise LookupError("a fault of the host")

    with caplog.at_level(logging.ERROR):
        await one.sio.emit("ask", to=target.sid, callback=fails)
        await eventually(lambda: "a fault of the host" in caplog.text)
    assert await one.sio.call("ask", to=target.sid) == "answer"


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


async def test_the_own_room_of_another_client_can_not_be_entered(hosts: Two) -> None:
    one, other = hosts
    with pytest.raises(ValueError, match="room"):
        await one.sio.enter_room(other.clients[0].sid, other.clients[1].sid)


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
    assert not any(sid in each for each in one.sio.manager._entered)
    await one.reaches(other.clients[0])


async def test_an_event_that_is_too_large_for_other_nodes_is_an_error(hosts: Two) -> None:
    one, other = hosts
    await entered(hosts, "ward", other.clients[0])
    for large in ("ä" * 2_200_000, bytes(3_200_000)):
        if one.app is not other.app:
            with pytest.raises(ValueError, match="4193280 bytes"):
                await one.sio.emit("large", large, room="ward")
    await one.sio.emit("large", bytes(100_000), room="ward")
    await all_heard(one, other.clients[0])
    assert other.clients[0].told("large") == [bytes(100_000)]


async def test_a_namespace_of_the_host_s_own(hosts: Two) -> None:
    one, other = hosts
    for host in {id(host.app): host for host in hosts}.values():
        host.sio.on("connect", lambda _sid, _environ: None, namespace="/desk")
    async with _desk(one) as here, _desk(other) as there:
        await one.sio.emit("told", 1, namespace="/desk")
        await one.sio.emit("told", 2, to=there.get_sid("/desk"), namespace="/desk")
        await one.sio.enter_room(there.get_sid("/desk"), "ward", namespace="/desk")
        await one.sio.emit("told", 3, room="ward", namespace="/desk")
        await eventually(lambda: (here.heard, there.heard), lambda it: it == ([1], [1, 2, 3]))
    await all_heard(one, *one.clients, *other.clients)
    assert not any(client.told("told") for client in one.clients + other.clients)


@asynccontextmanager
async def _desk(host: Host) -> AsyncIterator[Any]:
    """Connect a client to the namespace /desk, which keeps what it is told."""
    client: Any = socketio.AsyncClient(reconnection=False)
    client.heard = []
    client.on("told", client.heard.append, namespace="/desk")
    await client.connect(host.url, namespaces=["/desk"], transports=["websocket"])
    yield client
    await client.disconnect()


async def test_the_rooms_of_a_host_are_no_rooms_of_signaling(hosts: Two) -> None:
    one, other = hosts
    await entered(hosts, "gate", other.clients[0])
    await one.sio.emit("told", 1, room="gate")
    await other.clients[0].hears("told", 1)
    assert await one.app.signaling.rooms() == []
    ack = await other.clients[1].sio.call("join_room", {"room": "gate"})
    assert ack["peers"] == []
    assert [member.peer_id for member in await one.app.signaling.peers("gate")] == [other.clients[1].sid]
    refused = await other.clients[0].sio.call("join_room", {"room": stored_name("/", "gate")})
    assert refused["error"]["code"] == "invalid_payload"
    await one.sio.emit("told", 2, room="gate")
    await all_heard(one, *other.clients)
    assert other.clients[1].told("told") == []
