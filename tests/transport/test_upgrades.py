"""Polling that becomes a WebSocket, and attempts at it that fail."""

# python-socketio and python-engineio have no types
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from support.raw import Raw
from transport.serving import poll_waits, serving
from walkie_signal.transport import create_server

pytestmark = pytest.mark.usefixtures("_each_websocket_class")


def echoing() -> Any:
    sio = create_server()

    @sio.on("echo")
    async def echo(sid: str, value: Any) -> Any:
        return value

    return sio


@pytest.mark.promise(
    "The transport",
    "An upgrade that fails leaves polling as it was, a second WebSocket is opened and closed, and polls "
    "stay few",
)
async def test_an_upgrade_that_fails_leaves_polling_as_it_was() -> None:
    """With python-engineio each poll is then answered at once, with nothing in it."""
    sio = echoing()
    async with serving(sio) as client:
        sid = await client.joined_polling()
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


FRAMES: dict[str, list[str | bytes]] = {
    "no probe": [],
    "a probe that goes no further": ["2probe"],
    "an upgrade without a probe": ["5"],
    "nonsense for a probe": ["4nonsense"],
    "nonsense behind the probe": ["2probe", "4nonsense"],
    "a probe in binary": [b"2probe"],
    "two probes": ["2probe", "2probe"],
}


async def polls_in_a_second(client: Raw, sid: str) -> int:
    """Poll as a client does whose poll is answered: at once again."""
    loop = asyncio.get_running_loop()
    end, polls = loop.time() + 1, 0
    while (left := end - loop.time()) > 0:
        poll = asyncio.create_task(client.get(sid))
        done, _ = await asyncio.wait({poll}, timeout=left)
        if not done:  # the server holds it, as it should
            poll.cancel()
            await asyncio.wait({poll})
            break
        assert poll.result().status_code == 200, poll.result().text
        polls += 1
    return polls


async def polls_after(client: Raw, frames: list[str | bytes], *, dropped: bool) -> int:
    """Let an upgrade fail by these frames, and an end of the WebSocket; returns the polls of the second after."""
    sid = (await client.open())["sid"]
    await client.post(sid, "40")
    await client.get(sid)
    async with client.websocket(f"EIO=4&transport=websocket&sid={sid}") as socket:
        await socket.send(*frames)
        if frames[:1] == ["2probe"]:
            assert await socket.receive() == "3probe"
        if dropped:
            socket.abort()
        elif frames not in ([], ["2probe"]):
            await socket.closed(1)
    return await polls_in_a_second(client, sid)


@pytest.mark.promise(
    "The transport",
    "An upgrade that fails leaves polling as it was, a second WebSocket is opened and closed, and polls "
    "stay few",
)
@pytest.mark.parametrize("dropped", [False, True], ids=["closed", "dropped"])
async def test_after_an_upgrade_that_failed_polls_are_few(*, dropped: bool) -> None:
    """With python-engineio they are 434 a second, for good."""
    async with serving(create_server()) as client:
        polls = await asyncio.gather(*(polls_after(client, way, dropped=dropped) for way in FRAMES.values()))
    assert max(polls) <= 5, dict(zip(FRAMES, polls, strict=True))


@pytest.mark.promise(
    "The transport",
    "An upgrade that fails leaves polling as it was, a second WebSocket is opened and closed, and polls "
    "stay few",
)
@pytest.mark.parametrize("probed", [False, True], ids=["no probe yet", "probed"])
async def test_beside_a_first_upgrade_a_second_is_closed_and_polls_are_few(*, probed: bool) -> None:
    """However often it is tried; the first one then takes over, and the polls before it were few, too."""
    sio = echoing()
    async with serving(sio) as client:
        sid = await client.joined_polling()
        query = f"EIO=4&transport=websocket&sid={sid}"
        async with client.websocket(query) as first:
            if probed:
                await first.send("2probe")
                assert await first.receive() == "3probe"
            for _ in range(5):
                async with client.websocket(query) as second:
                    assert await second.closed(1) == 1000
                    assert second.seen == []
            loop = asyncio.get_running_loop()
            end, polls = loop.time() + 1, 0
            while loop.time() < end:
                assert (await client.get(sid)).text == "6"
                polls += 1
            assert polls <= 5
            if not probed:
                await first.send("2probe")
                assert await first.receive() == "3probe"
            await first.send("5", '421["echo",7]')
            assert await first.message() == "431[7]"
            async with client.websocket(query) as second:
                assert await second.closed(1) == 1000
            await first.send('422["echo",8]')
            assert await first.message() == "432[8]"


@pytest.mark.promise(
    "The transport",
    "An upgrade that fails leaves polling as it was, a second WebSocket is opened and closed, and polls "
    "stay few",
)
async def test_a_session_that_began_on_a_websocket_keeps_it() -> None:
    """A second one is opened and closed, as beside an upgrade; with python-engineio it takes the session over."""
    async with serving(echoing()) as client, client.websocket() as first:
        sid = json.loads(str(await first.receive())[1:])["sid"]
        await first.send("40")
        assert str(await first.message()).startswith("40")
        async with client.websocket(f"EIO=4&transport=websocket&sid={sid}") as second:
            assert await second.closed(1) == 1000
            assert second.seen == []
        await first.send('421["echo",7]')
        assert await first.message() == "431[7]"


@pytest.mark.promise(
    "The transport",
    "A poll that is sent with the upgrade is refused, whichever arrives first; a NOOP before the upgrade, "
    "as the Swift client sends it, is ignored",
)
async def test_a_poll_that_comes_with_the_upgrade_is_refused() -> None:
    """Sent on another connection it may arrive first: then it waits for what the WebSocket says."""
    sio = echoing()
    async with serving(sio) as client:
        sid = await client.joined_polling()
        async with client.websocket(f"EIO=4&transport=websocket&sid={sid}") as socket:
            await socket.send("2probe")
            assert await socket.receive() == "3probe"
            poll = asyncio.create_task(client.get(sid))
            await poll_waits(sio, sid)
            await socket.send("5", '421["echo",7]')
            assert await socket.message() == "431[7]"
            assert (await poll).status_code == 400


@pytest.mark.promise(
    "The transport",
    "A poll that is sent with the upgrade is refused, whichever arrives first; a NOOP before the upgrade, "
    "as the Swift client sends it, is ignored",
)
@pytest.mark.parametrize("frame", ["6", "6\x1e4" + '21["echo",7]'], ids=["alone", "with an event"])
async def test_a_noop_that_is_posted_before_the_upgrade_is_ignored(frame: str) -> None:
    """The Swift client posts one so that its poll is answered, and it may send the upgrade."""
    async with serving(echoing()) as client:
        sid = await client.joined_polling()
        async with client.websocket(f"EIO=4&transport=websocket&sid={sid}") as socket:
            await socket.send("2probe")
            assert await socket.receive() == "3probe"
            assert (await client.post(sid, frame)).text == "ok"
            await socket.send("5", '422["echo",8]')
            answers = [await socket.message() for _ in range(1 + frame.count("echo"))]
            assert answers[-1] == "432[8]"


@pytest.mark.promise(
    "The transport",
    "An upgrade that fails leaves polling as it was, a second WebSocket is opened and closed, and polls "
    "stay few",
)
async def test_after_a_duplicate_poll_all_others_are_refused() -> None:
    """The connection is closed with it, and stays so: a client that goes on gets 400, and nothing else happens."""
    sio = echoing()
    async with serving(sio) as client, client.joined() as bystander:
        sid = await client.joined_polling()
        first = asyncio.create_task(client.get(sid))
        await poll_waits(sio, sid)
        duplicates = await asyncio.gather(*(client.get(sid) for _ in range(5)))
        assert [answer.status_code for answer in duplicates] == [400] * 5
        assert ((await first).status_code, (await first).text) == (200, "1")
        for _ in range(5):
            assert (await client.get(sid)).status_code == 400
        assert (await client.post(sid, '42["x"]')).status_code == 400
        assert len(sio.eio.sockets) == 1
        await bystander.send('421["echo",7]')
        assert await bystander.message() == "431[7]"


async def test_what_is_sent_around_an_upgrade_arrives_once_and_in_order() -> None:
    sio = create_server()
    async with serving(sio) as client:
        sid = await client.joined_polling()
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
