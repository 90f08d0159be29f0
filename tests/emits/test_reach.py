"""How many messages an emit is: one to each node that has somebody for it, and none to any other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import count
from typing import Any

import pytest
import socketio

from emits.listeners import Host, listening
from emits.radio import make
from support.servers import hosted
from support.waiting import eventually

LISTENERS = 30


class Counted:
    """Counts the messages that come to a node for its host's server."""

    def __init__(self, host: Host) -> None:
        self.events: list[Any] = []
        audience = host.sio.manager._audience
        hear = audience.hear

        def keep(emit: Any, reply: Any) -> None:
            self.events.append(emit)
            hear(emit, reply)

        audience.hear = keep


@pytest.fixture
async def three(backend: str) -> AsyncIterator[list[Host]]:
    """Three nodes; nobody is on the last one."""
    async with AsyncExitStack() as stack:
        found = []
        for clients in (1, LISTENERS, 0):
            app = make(backend)
            host = Host(app, await stack.enter_async_context(hosted(app)), [])
            await eventually(host.ready)
            host.clients += [await stack.enter_async_context(listening(host.url)) for _ in range(clients)]
            found.append(host)
        for client in found[1].clients:
            await found[1].sio.enter_room(client.sid, "ward")
            await found[0].reaches(client, "ward")
        yield found


@pytest.mark.promise(
    "Hosts", "An emit is one message to each node that has somebody for it, and none to others"
)
async def test_an_emit_is_one_message_to_whoever_has_listeners(three: list[Host]) -> None:
    here, there, empty = three
    heard, unheard = Counted(there), Counted(empty)
    for number in range(10):
        await here.sio.emit("told", number, to="ward")
    for client in there.clients:
        await client.hears("told", 9)
        assert client.told("told") == list(range(10))
    assert len(heard.events) == 10
    await here.sio.emit("to everybody")
    await here.sio.emit("to one", to=there.clients[0].sid)
    await here.sio.emit("to nobody", to="a room where nobody is")
    await here.sio.emit("to one here", to=here.clients[0].sid)
    await there.clients[0].hears("to one")
    assert [len(heard.events), unheard.events] == [12, []]


@pytest.mark.promise("Hosts", "What can't be handed over to another node leaves a line")
async def test_an_answer_that_is_too_large_for_other_nodes(
    backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = (make(backend, max_http_buffer_size=10_000_000) for _ in range(2))
    async with hosted(one), hosted(other) as url, listening(url) as client:
        client.sio.on("ask", lambda size: "x" * size)
        assert await one.sio.call("ask", 1, to=client.sid) == "x"
        assert await other.sio.call("ask", 5_000_000, to=client.sid) == "x" * 5_000_000
        with pytest.raises(socketio.exceptions.TimeoutError):
            await one.sio.call("ask", 5_000_000, to=client.sid, timeout=1)
    assert "the answer of a client does not reach the node that has asked" in caplog.text


async def test_a_node_hears_nothing_of_a_room_that_all_its_clients_have_left(three: list[Host]) -> None:
    here, there, _ = three
    heard = Counted(there)
    for client in there.clients:
        await there.sio.leave_room(client.sid, "ward")

    marks = count()

    async def is_told() -> bool:
        before, mark = len(heard.events), next(marks)
        await here.sio.emit("told", to="ward")
        await here.sio.emit("mark", mark, to=there.clients[0].sid)
        await there.clients[0].hears("mark", mark)
        return len(heard.events) == before + 2

    await eventually(is_told, lambda told: not told)
