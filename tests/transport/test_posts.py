"""What comes in one request or in one burst, and what is still under way meanwhile."""

# python-socketio and python-engineio have no types
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import asyncio
import logging
import operator
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import socketio

from support.heads import POLLING, head
from support.raw import Raw, raw
from support.servers import hosted
from support.waiting import eventually
from support.wire import Wire, wire
from transport.hosts import Host, check_one_line
from walkie_signal.transport import create_server

pytestmark = pytest.mark.usefixtures("_each_websocket_class")


@asynccontextmanager
async def stuck_post(client: Raw, host: Host, sid: str) -> AsyncIterator[Wire]:
    """Send half of a POST; gives where its answer comes."""
    async with wire(client.url) as post:
        await post.send(head(f"{POLLING}&sid={sid}", "Content-Length: 9", method="POST") + b"4")
        await eventually(lambda: host.sio.eio.sockets[sid].carrier._reading, what="a POST")
        yield post


async def test_a_post_that_never_ends_holds_up_nothing(client: Raw, host: Host) -> None:
    sid = (await client.open())["sid"]
    async with stuck_post(client, host, sid) as answer:
        await asyncio.wait_for(host.sio.eio.disconnect(sid), 1)
        await eventually(host.left, operator.not_)
        assert (await answer.answer(within=1))[0] == 400


async def test_two_posts_at_once_close_the_connection(
    client: Raw, host: Host, lines: list[logging.LogRecord]
) -> None:
    sid = (await client.open())["sid"]
    async with stuck_post(client, host, sid) as answer:
        assert (await client.post(sid, "40")).status_code == 400
        assert (await answer.answer(within=1))[0] == 400
    check_one_line(lines, sid)


async def test_a_burst_over_polling_arrives_whole(client: Raw, host: Host) -> None:
    sid = (await client.open())["sid"]
    await client.post(sid, "40")
    await client.get(sid)
    burst = "\x1e".join(f'42["candidate",{n}]' for n in range(300))
    assert (await client.post(sid, burst)).text == "ok"
    await eventually(lambda: host.calls, lambda calls: len(calls) == 301)
    assert [arguments for _, arguments in host.calls[1:]] == [(n,) for n in range(300)]


async def test_events_before_the_answer_to_connect_wait_for_it(client: Raw, host: Host) -> None:
    """A client that does not wait for the answer, as raw ones do, loses nothing and gains nothing."""
    async with client.opened() as socket:
        await socket.send("40", '421["early","bird"]')
        assert str(await socket.message()).startswith("40{")
        assert await socket.message() == '431["bird"]'
    assert [call[0] for call in host.calls[:2]] == ["connect", "early"]


async def test_ack_zero_leaves_callbacks_alone(client: Raw, host: Host) -> None:
    """python-socketio counts its callbacks under 0, and a client's ack 0 takes the count away."""
    async with client.joined() as socket:
        sid = next(iter(host.sio.manager.rooms["/"][None]))
        for number in (1, 2):
            called = asyncio.create_task(host.sio.call("question", number, to=sid, timeout=2))
            assert await socket.message() == f'42{number}["question",{number}]'
            await socket.send('430["nothing"]', '4377["nobody asked"]', f'43{number}["answer"]')
            assert await called == "answer"


async def test_too_many_events_that_wait_close_the_connection(
    client: Raw, host: Host, lines: list[logging.LogRecord]
) -> None:
    release = asyncio.Event()

    @host.sio.on("slow")
    async def slow(sid: str) -> None:
        await release.wait()

    async with client.joined() as socket:
        for _ in range(1001):
            await socket.send('42["slow"]')
        assert await socket.closed(2) == 1002
    release.set()
    check_one_line(lines)
    await eventually(host.left, operator.not_)


async def test_a_slow_handler_holds_up_no_pong() -> None:
    sio = create_server(ping_interval=0.3, ping_timeout=0.2, async_handlers=False)
    order: list[int] = []

    @sio.on("slow")
    async def slow(sid: str, number: int) -> int:
        await asyncio.sleep(0.4)
        order.append(number)
        return number

    async with (
        hosted(socketio.ASGIApp(sio)) as url,
        raw(f"{url}/socket.io/") as other,
        other.joined() as socket,
    ):
        await socket.send('421["slow",1]', '422["slow",2]', '423["slow",3]')
        assert [await socket.message() for _ in range(3)] == ["431[1]", "432[2]", "433[3]"]
    assert order == [1, 2, 3]
