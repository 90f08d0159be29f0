"""Clients that break the protocol: theirs is closed at once, with one line in the log, and nobody else's."""

# python-socketio and python-engineio have no types
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import socketio

from support.servers import hosted
from transport.raw import Raw, raw
from walkie_signal.transport import create_server

PLACE = '{"_placeholder":true,"num":0}'


class Host:
    """A server with a host's handlers, and what they were called with."""

    def __init__(self) -> None:
        self.sio = create_server(cors_allowed_origins="*", max_http_buffer_size=100_000)
        self.calls: list[tuple[str, Any]] = []
        self.sio.on("connect", self.connect)
        self.sio.on("disconnect", self.disconnect)
        self.sio.on("*", self.anything)
        self.sio.on("connect", self.connect, namespace="/other")
        self.sio.on("*", self.anything, namespace="/other")

    async def connect(self, sid: str, environ: Any, auth: Any) -> None:
        self.calls.append(("connect", auth))

    async def disconnect(self, sid: str, reason: str) -> None:
        self.calls.append(("disconnect", reason))

    async def anything(self, event: str, sid: str, *arguments: Any) -> Any:
        self.calls.append((event, arguments))
        return arguments

    def left(self) -> list[Any]:
        """List what is left of connections, in every table that there is."""
        manager = self.sio.manager
        tables = [
            self.sio.eio.sockets, self.sio.environ, manager.rooms, manager.callbacks,
            manager.pending_connect, manager.pending_disconnect,
        ]  # fmt: skip
        return [table for table in tables if table]


async def until(condition: Callable[[], bool], what: Callable[[], object], within: float = 2.0) -> None:
    """Wait for something that tells nobody when it happens; fails with `what` it is instead."""
    deadline = asyncio.get_running_loop().time() + within
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"not within {within} s: {what()}"
        await asyncio.sleep(0.01)


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
async def client(host: Host) -> AsyncIterator[Raw]:
    async with hosted(socketio.ASGIApp(host.sio)) as url, raw(f"{url}/socket.io/") as client:
        yield client


class OwnLines(logging.Handler):
    """Everything that is logged from WARNING on, by anybody."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def lines() -> Any:
    handler = OwnLines()
    logging.getLogger().addHandler(handler)
    yield handler.records
    logging.getLogger().removeHandler(handler)


def check_one_line(lines: list[logging.LogRecord], *secrets: str) -> None:
    told = [(record.name, record.levelname, record.getMessage()) for record in lines]
    assert [line[:2] for line in told] == [("walkie_signal.transport", "WARNING")], told
    assert lines[0].exc_info is None
    assert not any(secret in told[0][2] for secret in secrets), told


MALFORMED = {
    "an unknown frame": "abc",
    "an empty frame": "",
    "a ping from a client": "2",
    "an upgrade of nothing": "5",
    "a noop from a client": "6",
    "an open from a client": "0",
    "base64 on a WebSocket": "bAQID",
    "deep JSON": "42" + "[" * 40_000,
    "deep JSON alone": "4" + "[" * 40_000,
    "an empty packet": "4",
    "an unknown packet": "49",
    "letters": "4abc",
    "no data": "42",
    "an event that is an object": "42{}",
    "an event that is a string": '42"x"',
    "an event without a name": "42[]",
    "an event named by a number": "42[1]",
    "an event named by a list": '42[["x"]]',
    "an event named by nothing": "42[null]",
    "broken JSON": '42["x"',
    "NaN": '42["x",NaN]',
    "infinity": '42["x",-Infinity]',
    "a number too large": '42["x",1e999]',
    "an ack id of letters": '42a["x"]',
    "an ack id without end": "42" + "1" * 90 + '["x"]',
    "an ack without an id": "43[]",
    "an ack that is an object": "431{}",
    "an error from a client": "44{}",
    "a disconnect with data": '41{"x":1}',
    "a second CONNECT": "40",
    "a namespace not joined": '42/nowhere,["x"]',
    "a namespace known, not joined": '42/other,["x"]',
    "attachments: none": '450-["x"]',
    "attachments: more than places": f'452-["x",{PLACE}]',
    "attachments: fewer than places": f'451-["x",{PLACE},{PLACE}]',
    "attachments: a billion": f'459999999999-["x",{PLACE}]',
    "attachments: to an event that has none": '421-["x"]',
    "attachments: a place that is no number": '451-["x",{"_placeholder":true,"num":"0"}]',
    "attachments: a place below zero": '451-["x",{"_placeholder":true,"num":-1}]',
    "attachments: no id for an ack": f"461-[{PLACE}]",
    "reserved in binary": f'451-["disconnect",{PLACE}]',
}
RESERVED = ["connect", "disconnect", "connect_error", "disconnecting", "newListener", "removeListener"]
MALFORMED |= {f"reserved: {name}": "42" + json.dumps([name, {"a": 1}, {"sub": "admin"}]) for name in RESERVED}


async def test_a_malformed_frame_closes_its_connection(
    client: Raw, host: Host, lines: list[logging.LogRecord]
) -> None:
    async with client.joined() as bystander:
        for kind, frame in MALFORMED.items():
            async with client.joined() as socket:
                host.calls.clear()
                await socket.send(frame)
                assert await socket.closed(1) == 1002, kind
            await until(lambda: bool(host.calls), lambda: MALFORMED)
            assert host.calls == [("disconnect", "transport error")], kind
            check_one_line(lines, "admin", "nowhere")
            lines.clear()
            await bystander.send('421["still","there"]')
            assert await bystander.message() == '431["there"]', kind
    await until(lambda: not host.left(), host.left)


NOT_POSTED = ("base64 on a WebSocket", "a second CONNECT")
POSTED = {kind: frame for kind, frame in MALFORMED.items() if kind not in NOT_POSTED}


async def test_a_malformed_post_closes_its_connection(
    client: Raw, host: Host, lines: list[logging.LogRecord]
) -> None:
    for kind, body in POSTED.items():
        sid = (await client.open())["sid"]
        await client.post(sid, "40")
        assert (await client.get(sid)).text.startswith("40{")
        poll = asyncio.create_task(client.get(sid))
        assert (await client.post(sid, body)).status_code == 400, kind
        assert (await poll).text in ("1", '{"code":1,"message":"Session ID unknown"}'), kind
        assert (await client.get(sid)).status_code == 400, kind
        check_one_line(lines, sid, "admin")
        lines.clear()
    await until(lambda: not host.left(), host.left)


@pytest.mark.parametrize(
    "body", [b"4\xff", b"bA", b"b====", b'42["a"]\x1e'], ids=["UTF-8", "base64", "padding", "end"]
)
async def test_a_post_that_is_no_payload_closes_its_connection(
    client: Raw, lines: list[logging.LogRecord], body: bytes
) -> None:
    sid = (await client.open())["sid"]
    assert (await client.post(sid, body)).status_code == 400
    assert (await client.get(sid)).status_code == 400
    check_one_line(lines, sid)


@pytest.mark.parametrize(
    "frame", ['40"x"', "40[]", "40null", '42["x"]', '431["x"]', "41", f'451-["x",{PLACE}]']
)
async def test_nothing_but_connect_comes_first(
    client: Raw, host: Host, lines: list[logging.LogRecord], frame: str
) -> None:
    async with client.opened() as socket:
        await socket.send(frame, b"x") if frame.startswith("45") else await socket.send(frame)
        assert await socket.closed(1) == 1002
    check_one_line(lines)
    assert host.calls == []


@pytest.mark.parametrize(
    "frames",
    [
        (f'451-["x",{PLACE}]', '42["y"]'),
        (f'451-["x",{PLACE}]', b"x" * 100_000),
        (f'452-["x",{PLACE},{{"_placeholder":true,"num":1}}]', b"x" * 60_000, b"x" * 60_000),
        (b"x",),
    ],
    ids=["text in place", "one too large", "two too large", "to nothing"],
)
async def test_attachments_are_what_was_announced(
    client: Raw, host: Host, lines: list[logging.LogRecord], frames: tuple[str | bytes, ...]
) -> None:
    async with client.joined() as socket:
        await socket.send(*frames)
        assert await socket.closed(1) == 1002
    check_one_line(lines)
    await until(lambda: ("disconnect", "transport error") in host.calls, lambda: host.calls)
    assert [call for call in host.calls if call[0] in "xy"] == []


@pytest.mark.parametrize("size", [100_001, 400_000])
async def test_a_frame_over_the_limit_closes_its_connection(
    client: Raw, lines: list[logging.LogRecord], size: int
) -> None:
    async with client.joined() as socket:
        await socket.send("4" + "x" * (size - 1))
        assert await socket.closed(1) == 1009
    check_one_line(lines)


async def test_a_frame_over_the_limit_in_bytes_closes_its_connection(client: Raw) -> None:
    async with client.joined() as socket:
        await socket.send('42["x","' + "€" * 34_000 + '"]')  # 34,010 characters
        assert await socket.closed(1) == 1009


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_a_post_over_the_limit_is_answered_at_once(
    client: Raw, host: Host, lines: list[logging.LogRecord], *, chunked: bool
) -> None:
    sid = (await client.open())["sid"]

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"4" + b"x" * 9_999

    content = pieces() if chunked else b"4" + b"x" * 100_000
    answer = await client.http.post(client.url, params=client.query(sid), content=content, timeout=1)
    assert answer.status_code == 413
    assert (await client.get(sid)).status_code == 400
    check_one_line(lines, sid)
    await until(lambda: not host.left(), host.left)


@asynccontextmanager
async def stuck_post(client: Raw, sid: str) -> AsyncIterator[asyncio.StreamReader]:
    """Send half of a POST; gives where its answer comes."""
    address = httpx.URL(client.url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    target = f"{address.path}?EIO=4&transport=polling&sid={sid}"
    writer.write(f"POST {target} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n4".encode())
    await asyncio.sleep(0.1)  # nothing tells that half a POST has arrived
    try:
        yield reader
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_post_that_never_ends_holds_up_nothing(client: Raw, host: Host) -> None:
    sid = (await client.open())["sid"]
    async with stuck_post(client, sid) as answer:
        await asyncio.wait_for(host.sio.eio.disconnect(sid), 1)
        await until(lambda: not host.left(), host.left)
        assert b" 400 " in await asyncio.wait_for(answer.readline(), 1)


async def test_two_posts_at_once_close_the_connection(client: Raw, lines: list[logging.LogRecord]) -> None:
    sid = (await client.open())["sid"]
    async with stuck_post(client, sid) as answer:
        assert (await client.post(sid, "40")).status_code == 400
        assert b" 400 " in await asyncio.wait_for(answer.readline(), 1)
    check_one_line(lines, sid)


async def test_a_burst_over_polling_arrives_whole(client: Raw, host: Host) -> None:
    sid = (await client.open())["sid"]
    await client.post(sid, "40")
    await client.get(sid)
    burst = "\x1e".join(f'42["candidate",{n}]' for n in range(300))
    assert (await client.post(sid, burst)).text == "ok"
    await until(lambda: len(host.calls) == 301, lambda: host.calls)
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
    await until(lambda: not host.left(), host.left)


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
