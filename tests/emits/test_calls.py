"""Whom an event of a host's server reaches, and who answers, as python-socketio's own manager has it."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any
from weakref import ref

import pytest
import socketio

from emits.listeners import Host, Two, all_heard, entered, listening
from support.waiting import eventually
from walkie_signal.core.emits import stored_name

pytestmark = pytest.mark.promise(
    "Hosts",
    "Each call of the host's server reaches clients on every node: emits, rooms, answers, disconnects",
)


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


async def test_emits_side_by_side_to_rooms_and_sids_keep_their_order(hosts: Two) -> None:
    """Where a sid is has to be asked, and where a room's members are is known."""
    one, other = hosts
    (target, _) = other.clients
    await entered(hosts, "ward", target)
    emits = []
    for number in range(90):
        to = ["ward", target.sid, None][number % 3]
        emits.append(asyncio.create_task(one.sio.emit("tick", number, to=to)))
        await asyncio.sleep(0)
    await asyncio.gather(*emits)
    await all_heard(one, target)
    assert target.told("tick") == list(range(90))


async def test_a_client_whose_sid_is_of_the_host_s_own_making(hosts: Two) -> None:
    one, other = hosts
    made = count()
    other.sio.eio.generate_id = lambda: f"guard {next(made)}"
    async with listening(other.url) as client:
        assert client.sid.startswith("guard ")
        await one.sio.emit("told", 1, to=client.sid)
        await one.sio.emit("told", 2, to=["nobody's", client.sid])
        await client.hears("told", 2)
        assert client.told("told") == [1, 2]


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


async def test_who_has_the_answer_of_a_client_is_forgotten(hosts: Two) -> None:
    one, other = hosts
    target = other.clients[0]
    target.sio.on("ask", lambda: "answer")

    class Waits:
        def __call__(self, answer: str) -> None:
            answered.set_result(answer)

    waits, answered = Waits(), asyncio.get_running_loop().create_future()
    await one.sio.emit("ask", to=target.sid, callback=waits)
    assert await answered == "answer"
    forgotten = ref(waits)
    del waits
    await eventually(lambda: (gc.collect(), forgotten())[1], lambda it: it is None)


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


async def test_an_emit_that_asks_is_not_overtaken_by_a_later_one(hosts: Two) -> None:
    one, other = hosts
    for target in (one.clients[0], other.clients[0]):
        for number in range(20):
            asks = asyncio.create_task(one.sio.emit("tick", number, to=target.sid, callback=lambda *_: None))
            await asyncio.sleep(0)
            await one.sio.emit("tick", number + 0.5, to=target.sid)
            await asks
        await all_heard(one, target)
        assert target.told("tick") == [number / 2 for number in range(40)]
