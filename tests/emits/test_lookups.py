"""What an emit waits for whose listeners have to be looked up where the store is far away, and who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from emits.listeners import Host, Two, all_heard, entered, listening
from emits.radio import make
from support.cut import cut
from support.redis import redis_server
from support.servers import hosted
from support.waiting import eventually, in_time

MANY = [f"room {number}" for number in range(300)]
"""One after the other, 600 questions would take 12 s."""


@pytest.fixture
async def far() -> AsyncIterator[Two]:
    """Two nodes with a client each, whose Redis answers after 20 ms."""
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server())
        proxy = await stack.enter_async_context(cut(redis.port))
        hosts = []
        for _ in range(2):
            app = make(f"redis://127.0.0.1:{proxy.port}")
            host = Host(app, await stack.enter_async_context(hosted(app)), [])
            await eventually(host.ready)
            host.clients.append(await stack.enter_async_context(listening(host.url)))
            hosts.append(host)
        await entered((hosts[0], hosts[1]), "ward", hosts[1].clients[0])
        proxy.delay = lambda: 0.01
        yield hosts[0], hosts[1]


async def test_the_rooms_of_an_emit_are_looked_up_together(far: Two) -> None:
    here, there = far
    await there.sio.enter_room(there.clients[0].sid, MANY[-1])
    many = asyncio.create_task(here.sio.emit("told", "many", to=MANY))
    await asyncio.sleep(0)
    after = asyncio.create_task(here.sio.emit("told", "after", to="ward"))
    await in_time(many, lambda: "300 rooms are not looked up", within=5)
    await after
    await all_heard(here, there.clients[0])
    assert there.clients[0].told("told") == ["many", "after"]


@pytest.mark.promise("Hosts", "An emit waits only for those lookups before it that its order may need")
async def test_who_is_nowhere_else_or_on_another_namespace_waits_for_no_lookup(far: Two) -> None:
    here, _ = far
    await here.sio.enter_room(here.clients[0].sid, "desk")
    many = asyncio.create_task(here.sio.emit("told", "many", to=MANY))
    await asyncio.sleep(0)
    await here.sio.emit("told", "here alone", to="desk")
    await here.sio.emit("told", "elsewhere", to=7, namespace="/desk")
    assert not many.done()
    await many
