"""A peer that does not read: it is closed, and neither memory nor anybody else pays for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import socketio

from support.raw import Raw, RawSocket, raw
from support.servers import hosted
from support.waiting import eventually
from walkie_signal import Settings
from walkie_signal.asgi import make_server
from walkie_signal.transport import create_server

pytestmark = pytest.mark.usefixtures("_each_websocket_class")

MIB = 1 << 20


class Serving:
    def __init__(self, **options: Any) -> None:
        self.sio = create_server(**options)
        self.reasons: list[str] = []
        self.sio.on("disconnect", self.disconnect)

    async def disconnect(self, sid: str, reason: str) -> None:
        self.reasons.append(reason)

    @asynccontextmanager
    async def client(self, **config: Any) -> AsyncIterator[Raw]:
        async with hosted(socketio.ASGIApp(self.sio), **config) as url, raw(f"{url}/socket.io/") as client:
            yield client

    async def sid_of(self, socket: RawSocket) -> str:
        """Join; returns the Socket.IO sid."""
        await socket.send("40")
        sid: str = str(await socket.message()).split('"')[3]
        return sid

    async def gone(self, within: float) -> str:
        """Wait for a disconnect; returns its reason."""
        return (await eventually(lambda: self.reasons, what="gone", within=within))[0]


@pytest.mark.promise("The transport", "What waits for a peer is bounded; a peer that does not read is closed")
@pytest.mark.parametrize("ponging", [False, True])
async def test_a_peer_that_does_not_read_is_closed_and_held_within_bounds(*, ponging: bool) -> None:
    serving = Serving()
    async with serving.client() as client, client.opened() as deaf, client.joined() as reader:
        sid = await serving.sid_of(deaf)
        (connection,) = (c for c in serving.sio.eio.sockets.values() if c.app.get("/").sid == sid)
        most = sent = 0
        while not serving.reasons:
            assert sent < 100 * MIB, f"100 MiB sent, {connection.outbox.size} wait"
            await serving.sio.emit("data", "x" * 60_000, to=sid)
            sent += 60_000
            most = max(most, connection.outbox.size)
            if ponging:
                await deaf.send("3")
            await asyncio.sleep(0)
        assert serving.reasons == ["overflow"]
        assert most <= 4 * MIB + 60_010
        assert len(connection.outbox) == 0
        await serving.sio.emit("after")
        assert await reader.message() == '42["after"]'


@pytest.mark.promise("The transport", "What waits for a peer is bounded; a peer that does not read is closed")
async def test_a_stall_ends_in_a_close_however_little_waits() -> None:
    serving = Serving(outbox_bytes=1 << 30, outbox_messages=1 << 20, stall_timeout=0.5, ping_timeout=1)
    async with serving.client() as client, client.opened() as deaf:
        sid = await serving.sid_of(deaf)
        for _ in range(300):
            await serving.sio.emit("data", "x" * 60_000, to=sid)
        assert await serving.gone(3) == "overflow"


@pytest.mark.promise("The transport", "What waits for a peer is bounded; a peer that does not read is closed")
async def test_a_burst_to_a_peer_that_reads_is_no_overflow() -> None:
    """Whoever joins a room of a thousand is told of each of them at once."""
    serving = Serving()
    async with serving.client() as client, client.opened() as socket:
        sid = await serving.sid_of(socket)
        (connection,) = serving.sio.eio.sockets.values()
        link = serving.sio.connections.link(connection.sid, "/")
        for number in range(1500):
            link.send(f'42["new_peer",{{"peerId":"{number}","room":"{"r" * 100}"}}]')
        for number in range(1500):
            assert f'"peerId":"{number}"' in str(await socket.message())
        assert sid
        assert serving.reasons == []


async def test_a_burst_to_a_peer_that_polls_is_no_overflow() -> None:
    serving = Serving()
    async with serving.client() as client:
        client.http.headers["user-agent"] = "okhttp/4.12.0"  # which takes all in one answer
        sid = await client.joined_polling()
        link = serving.sio.connections.link(sid, "/")
        for number in range(1500):
            link.send(f'42["new_peer",{number}]')
        assert (await client.get(sid)).text.count("\x1e") == 1499
        assert serving.reasons == []


async def test_a_peer_that_does_not_poll_is_closed() -> None:
    serving = Serving()
    async with serving.client() as client:
        sid = await client.joined_polling()
        link = serving.sio.connections.link(sid, "/")
        for number in range(1001):
            link.send(f'42["new_peer",{number}]')
        assert await serving.gone(1) == "overflow"
        assert (await client.get(sid)).status_code == 400


async def test_one_message_over_the_bound_reaches_a_peer_that_reads() -> None:
    serving = Serving(outbox_bytes=1000)
    async with serving.client() as client, client.opened() as socket:
        sid = await serving.sid_of(socket)
        await serving.sio.emit("data", "x" * 5_000_000, to=sid)
        assert len(await socket.message()) > 5_000_000
        assert serving.reasons == []


async def test_a_kick_does_not_wait_for_a_peer_that_does_not_read() -> None:
    serving = Serving(outbox_bytes=1 << 30, outbox_messages=1 << 20)
    async with serving.client() as client, client.opened() as deaf:
        sid = await serving.sid_of(deaf)
        (connection,) = serving.sio.eio.sockets.values()
        while not connection.carrier.waiting:
            await serving.sio.emit("data", "x" * 60_000, to=sid)
        await asyncio.wait_for(serving.sio.disconnect(sid), 1)
        assert serving.reasons == ["server disconnect"]
        assert serving.sio.manager.rooms == {}


async def test_an_engineio_disconnect_does_not_wait_for_a_peer_that_does_not_read() -> None:
    serving = Serving(outbox_bytes=1 << 30, outbox_messages=1 << 20)
    async with serving.client() as client, client.opened() as deaf:
        sid = await serving.sid_of(deaf)
        (connection,) = serving.sio.eio.sockets.values()
        while not connection.carrier.waiting:
            await serving.sio.emit("data", "x" * 60_000, to=sid)
        await asyncio.wait_for(serving.sio.eio.disconnect(connection.sid), 1)
        assert serving.sio.eio.sockets == {}


async def test_order_holds_while_a_peer_stalls_and_goes_on() -> None:
    serving = Serving(outbox_bytes=1 << 30, outbox_messages=1 << 20)
    async with serving.client() as client, client.opened() as slow:
        sid = await serving.sid_of(slow)
        (connection,) = serving.sio.eio.sockets.values()
        count = 0
        while not connection.carrier.waiting or len(connection.outbox) < 10:
            await serving.sio.emit("data", (count, "x" * 60_000), to=sid)
            count += 1
        for number in range(count):
            assert str(await slow.message()).startswith(f'42["data",{number},')
        await serving.sio.emit("end", to=sid)
        assert await slow.message() == '42["end"]'


@pytest.mark.promise("The transport", "A newer roster replaces an older one that still waits")
async def test_an_outdated_frame_that_still_waits_is_replaced() -> None:
    """A roster, say: whoever reads again wants the last one, and no more of them may wait than one."""
    serving = Serving(outbox_bytes=1 << 30)
    async with serving.client() as client, client.opened() as slow:
        await serving.sid_of(slow)
        (connection,) = serving.sio.eio.sockets.values()
        link = serving.sio.connections.link(connection.sid, "/")
        count = 0
        while not connection.carrier.waiting or len(connection.outbox) < 10:
            link.send(f'42["data",{count},"{"x" * 60_000}"]')
            count += 1
        waiting = connection.outbox.size
        for number in range(5000):
            link.send_latest("red", f'42["red",{number}]')
            link.send_latest("blue", f'42["blue",{number}]')
        assert connection.outbox.size - waiting == len('42["red",4999]42["blue",4999]')
        for number in range(count):
            assert str(await slow.message()).startswith(f'42["data",{number},')
        assert [await slow.message() for _ in range(2)] == ['42["red",4999]', '42["blue",4999]']
        link.send_latest("red", '42["red",5000]')
        assert await slow.message() == '42["red",5000]'
    assert serving.reasons == ["transport close"]


@pytest.mark.promise("The transport", "A newer roster replaces an older one that still waits")
async def test_an_outdated_frame_between_two_polls_is_replaced() -> None:
    serving = Serving()
    async with serving.client() as client:
        sid = await client.joined_polling()
        link = serving.sio.connections.link(sid, "/")
        link.send_latest("red", '42["red",1]')
        link.send('42["data"]')
        link.send_latest("red", '42["red",2]')
        assert (await client.get(sid)).text == '42["data"]\x1e42["red",2]'


def test_the_bounds_are_settings() -> None:
    settings = Settings(outbox_bytes=2000, outbox_messages=3, stall_timeout=1.5)
    held = make_server(settings, "*").eio.settings
    assert (held.outbox_bytes, held.outbox_messages, held.stall_timeout) == (2000, 3, 1.5)


def test_a_value_of_its_own_goes_before_the_settings_whatever_their_bounds() -> None:
    engine = create_server(settings=Settings(outbox_bytes=2000, ping_timeout=3), outbox_bytes=1).eio
    assert (engine.settings.outbox_bytes, engine.settings.outbox_messages, engine.ping_timeout) == (
        1,
        1000,
        3,
    )
    assert create_server(settings=Settings(ping_timeout=3), ping_timeout=4).eio.ping_timeout == 4
