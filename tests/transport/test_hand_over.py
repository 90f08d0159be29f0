"""A session of one worker, its requests coming in at another."""

# python-socketio and python-engineio have no types
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
import socketio

from support.raw import RawSocket, raw
from support.servers import hosted
from transport.serving import nothing_left, poll_waits
from transport.workers import temporary_folder, workers  # noqa: F401 - a fixture
from walkie_signal.transport import create_server
from walkie_signal.transport.workers import pipes

pytestmark = pytest.mark.usefixtures("folder")
on_each_websocket_class = pytest.mark.usefixtures("_each_websocket_class")

LIMIT = 1_000_000
UNKNOWN = (400, {"code": 1, "message": "Session ID unknown"})


@pytest.mark.promise("Many nodes", "Any worker of a machine takes any request of any session")
async def test_a_peer_that_polls_at_either_worker_misses_nothing() -> None:
    async with workers() as pair:
        peer = pair.either
        sid = (await peer.open())["sid"]
        for number in range(10):
            await peer.post(sid, "40" if not number else f'42{number}["echo",{number}]')
            answer = (await peer.get(sid)).text
            assert answer.startswith("40" if not number else f"43{number}[{number}]"), answer
        binary = base64.b64encode(bytes(range(256))).decode()
        await peer.post(sid, f'451-70["echo",{{"_placeholder":true,"num":0}}]\x1eb{binary}')
        packets = (await peer.get(sid)).text.split("\x1e")
        assert packets == ['461-70[{"_placeholder":true,"num":0}]', f"b{binary}"]
        assert len(pair.sio.eio.sockets) + len(pair.other_sio.eio.sockets) == 1


@pytest.mark.parametrize("many", [1, 4], ids=["ascii", "emoji"])
async def test_a_body_at_the_limit_is_taken_and_one_over_it_refused(many: int) -> None:
    letter = "x" if many == 1 else "\N{GRINNING FACE}"
    async with workers() as pair:
        sid = await pair.owner.joined_polling()
        around = len('421["echo",""]')
        text = letter * ((LIMIT - around) // many)
        assert (await pair.other.post(sid, f'421["echo","{text}"]')).text == "ok"
        assert (await pair.other.get(sid)).text == f'431["{text}"]'
        assert pair.only_the_owner_holds_sessions()
        assert (await pair.other.post(sid, "x" * (LIMIT + 1))).status_code == 413
        assert (await pair.other.get(sid)).status_code == 400
        await nothing_left(pair.sio)


async def test_headers_and_the_origin_are_the_owner_s_business() -> None:
    async with workers(cors_allowed_origins=["https://a.example"], http_compression=True) as pair:
        sid = await pair.owner.joined_polling()
        await pair.sio.emit("data", "x" * 5000)
        answer = await pair.other.http.get(
            pair.other.url, params=pair.other.query(sid), headers={"origin": "https://a.example"}
        )
        assert "x" * 5000 in answer.text
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers.get_list("access-control-allow-origin") == ["https://a.example"]
        query = {**pair.other.query(sid)}
        refused = await pair.other.http.get(
            pair.other.url, params=query, headers={"origin": "https://b.example"}
        )
        assert refused.status_code == 403


async def test_who_leaves_in_the_middle_of_a_poll_has_left() -> None:
    async with workers() as pair:
        sid = await pair.owner.joined_polling()
        poll = asyncio.create_task(pair.other.get(sid))
        await poll_waits(pair.sio, sid)
        poll.cancel()
        await asyncio.wait({poll})
        await nothing_left(pair.sio)
        assert pair.reasons == ["transport close"]


async def test_a_kick_reaches_a_poll_at_the_other_worker() -> None:
    async with workers() as pair:
        sid = await pair.owner.joined_polling()
        poll = asyncio.create_task(pair.other.get(sid))
        await poll_waits(pair.sio, sid)
        await pair.sio.disconnect(next(iter(pair.sio.manager.rooms["/"][None])))
        assert (await poll).text == "41"
        assert (await pair.other.get(sid)).text == "1"
        answer = await pair.other.get(sid)
        assert (answer.status_code, answer.json()) == UNKNOWN


async def upgraded(socket: RawSocket) -> None:
    """Take over, and wait until that has happened."""
    await socket.send("2probe")
    assert await socket.receive() == "3probe"
    await socket.send("5", '421["echo"]')
    assert await socket.message() == "431[]"


@pytest.mark.promise("Many nodes", "Any worker of a machine takes any request of any session")
@on_each_websocket_class
async def test_a_websocket_at_the_other_worker_takes_over() -> None:
    async with workers() as pair:
        sid = await pair.owner.joined_polling()
        async with pair.other.websocket(f"EIO=4&transport=websocket&sid={sid}") as socket:
            await upgraded(socket)
            for number in range(1, 50):
                await socket.send(f'42{number}["echo","{"é" * number}"]')
                assert await socket.message() == f'43{number}["{"é" * number}"]'
            await socket.send('451-70["echo",{"_placeholder":true,"num":0}]', bytes(range(256)))
            assert await socket.message() == '461-70[{"_placeholder":true,"num":0}]'
            assert await socket.message() == bytes(range(256))
            text = "x" * 900_000
            await socket.send(f'421["echo","{text}"]')
            assert await socket.message() == f'431["{text}"]'
            await pair.sio.emit("big", "y" * 5_000_000)
            assert len(await socket.message()) > 5_000_000
            assert pair.only_the_owner_holds_sessions()
        await nothing_left(pair.sio)
        assert pair.reasons == ["transport close"]


@on_each_websocket_class
@pytest.mark.parametrize("how", ["kick", "shutdown", "violation"])
async def test_the_owner_closes_a_websocket_at_the_other_worker(how: str) -> None:
    async with workers() as pair:
        sid = await pair.owner.joined_polling()
        async with pair.other.websocket(f"EIO=4&transport=websocket&sid={sid}") as socket:
            await upgraded(socket)
            if how == "kick":
                await pair.sio.disconnect(next(iter(pair.sio.manager.rooms["/"][None])))
            elif how == "shutdown":
                await pair.sio.shutdown()
            else:
                await socket.send("nonsense")
            code = await socket.closed(1)
        assert code == {"kick": 1000, "shutdown": 1012, "violation": 1002}[how]
        assert socket.seen[-1:] == (["41"] if how == "kick" else ["431[]"])
        await nothing_left(pair.sio)


@on_each_websocket_class
@pytest.mark.parametrize("message", ["4" + "x" * LIMIT, "4" + "é" * (LIMIT // 2), b"x" * (LIMIT + 1)])
async def test_a_frame_over_the_limit_closes_as_it_does_at_the_owner(message: str | bytes) -> None:
    async with workers() as pair:
        sid = await pair.owner.joined_polling()
        async with pair.other.websocket(f"EIO=4&transport=websocket&sid={sid}") as socket:
            await upgraded(socket)
            await socket.send(message)
            assert await socket.closed(1) == 1009
        await nothing_left(pair.sio)
        assert pair.reasons == ["transport error"]


@on_each_websocket_class
async def test_a_websocket_that_is_dropped_ends_the_session() -> None:
    async with workers() as pair:
        sid = await pair.owner.joined_polling()
        async with pair.other.websocket(f"EIO=4&transport=websocket&sid={sid}") as socket:
            await upgraded(socket)
            socket.abort()
            await nothing_left(pair.sio)
        assert pair.reasons == ["transport close"]


async def test_a_worker_that_ends_ends_the_requests_that_it_has_handed_over() -> None:
    sio = create_server(hand_over=True)
    async with workers() as pair:
        sid = await pair.owner.joined_polling()
        async with (
            hosted(socketio.ASGIApp(sio), timeout_graceful_shutdown=1) as url,
            raw(f"{url}/socket.io/") as third,
        ):
            poll = asyncio.create_task(third.get(sid))
            await poll_waits(pair.sio, sid)
        assert isinstance((await asyncio.wait({poll}, timeout=2))[0].pop().exception(), Exception)
        await nothing_left(pair.sio)


@pytest.mark.promise(
    "The transport", "The first WebSocket subprotocol that a client asks for is confirmed, on each server"
)
@on_each_websocket_class
async def test_a_subprotocol_is_confirmed_by_the_other_worker_too() -> None:
    async with workers() as pair:
        sid = await pair.owner.joined_polling()
        query = f"EIO=4&transport=websocket&sid={sid}"
        async with pair.other.websocket(query, subprotocols=["first", "second"]) as socket:
            assert socket.subprotocol == "first"
            await upgraded(socket)


@on_each_websocket_class
async def test_who_reads_nothing_runs_into_the_owner_s_bounds() -> None:
    """And not into a pipe that takes whatever there is."""
    async with workers() as pair:
        sid = await pair.owner.joined_polling()
        async with pair.other.websocket(f"EIO=4&transport=websocket&sid={sid}") as deaf:
            await upgraded(deaf)
            connection = pair.sio.eio.sockets[sid]
            sent = most = 0
            while not pair.reasons:
                assert sent < 100_000_000, f"{sent} bytes sent, {connection.outbox.size} wait"
                await pair.sio.emit("data", "x" * 60_000)
                sent += 60_000
                most = max(most, connection.outbox.size)
                await asyncio.sleep(0)
            assert pair.reasons == ["overflow"]
            assert most <= 4 * (1 << 20) + 60_010
            await deaf.closed(2, ponging=False)
        await nothing_left(pair.sio)


@on_each_websocket_class
async def test_order_holds_while_a_peer_stalls_and_goes_on() -> None:
    async with workers(outbox_bytes=1 << 30) as pair:
        sid = await pair.owner.joined_polling()
        async with pair.other.websocket(f"EIO=4&transport=websocket&sid={sid}") as slow:
            await upgraded(slow)
            connection = pair.sio.eio.sockets[sid]
            count = 0
            while len(connection.outbox) < 10:
                await pair.sio.emit("data", (count, "x" * 60_000))
                count += 1
            for number in range(count):
                assert str(await slow.message()).startswith(f'42["data",{number},')


def test_an_event_is_read_as_it_was_written() -> None:
    events: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"\x00\xff", "more_body": True},
        {"type": "websocket.receive", "text": "\ud800é", "bytes": None},
        {"type": "websocket.receive", "text": None, "bytes": b""},
        {"type": "http.response.start", "status": 200, "headers": [(b"a", b"\xe9\xff"), (b"a", b"")]},
    ]
    for event in events:
        frame = pipes.encode(event)
        length, head = pipes.LENGTHS.unpack_from(frame)
        assert length == len(frame) - 4
        read = pipes.decode(frame[8 : 8 + head], frame[8 + head :])
        assert read == {key: value for key, value in event.items() if value is not None}
