"""Polling that becomes a WebSocket, and attempts at it that fail."""

# python-socketio and python-engineio have no types
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from transport.serving import serving
from walkie_signal.transport import create_server

pytestmark = pytest.mark.usefixtures("_each_websocket_class")


async def test_an_upgrade_that_fails_leaves_polling_as_it_was() -> None:
    """With python-engineio each poll is then answered at once, with nothing in it."""
    sio = create_server()

    @sio.on("echo")
    async def echo(sid: str, value: Any) -> Any:
        return value

    async with serving(sio) as client:
        sid = (await client.open())["sid"]
        await client.post(sid, "40")
        await client.get(sid)
        async with client.websocket(f"EIO=4&transport=websocket&sid={sid}"):
            pass
        async with client.websocket(f"EIO=4&transport=websocket&sid={sid}") as socket:
            await socket.send("2probe")
            assert await socket.receive() == "3probe"
        async with client.websocket(f"EIO=4&transport=websocket&sid={sid}") as socket:
            await socket.send("4nonsense")
            await socket.closed(1)
        poll = asyncio.create_task(client.poll_until(sid, "431[7]"))
        await client.post(sid, '421["echo",7]')
        assert [packet for packet in await poll if packet != "6"] == ["431[7]"]


async def test_polls_beside_a_probe_are_few() -> None:
    sio = create_server()
    async with serving(sio) as client:
        sid = (await client.open())["sid"]
        async with client.websocket(f"EIO=4&transport=websocket&sid={sid}") as socket:
            await socket.send("2probe")
            assert await socket.receive() == "3probe"
            loop = asyncio.get_running_loop()
            end, polls = loop.time() + 1, 0
            while loop.time() < end:
                assert (await client.get(sid)).text == "6"
                polls += 1
            assert polls <= 5


async def test_what_is_sent_around_an_upgrade_arrives_once_and_in_order() -> None:
    sio = create_server()
    async with serving(sio) as client:
        sid = (await client.open())["sid"]
        await client.post(sid, "40")
        await client.get(sid)
        received: list[str] = []

        async def send(numbers: range) -> None:
            for number in numbers:
                await sio.emit("number", number)

        async with client.websocket(f"EIO=4&transport=websocket&sid={sid}") as socket:
            poll = asyncio.create_task(client.get(sid))
            await send(range(10))
            received += (await poll).text.split("\x1e")
            await socket.send("2probe")
            assert await socket.receive() == "3probe"
            await send(range(10, 20))
            received += (await client.get(sid)).text.split("\x1e")
            await send(range(20, 30))
            await socket.send("5")
            await send(range(30, 40))
            while not received[-1].startswith('42["number",39'):
                received.append(str(await socket.message()))
    events = [packet for packet in received if packet != "6"]
    assert events == [f'42["number",{number}]' for number in range(40)]
