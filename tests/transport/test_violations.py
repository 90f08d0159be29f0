"""Clients that break the protocol: theirs is closed at once, with one line in the log, and nobody else's."""

# python-socketio and python-engineio have no types
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import asyncio
import json
import logging
import operator
from collections.abc import AsyncIterator

import pytest

from support.raw import Raw
from support.waiting import eventually
from transport.hosts import Host, check_one_line

pytestmark = pytest.mark.usefixtures("_each_websocket_class")

PLACE = '{"_placeholder":true,"num":0}'


MALFORMED = {
    "an unknown frame": "abc",
    "an empty frame": "",
    "a ping from a client": "2",
    "an upgrade of nothing": "5",
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
            await eventually(lambda: host.calls)
            assert host.calls == [("disconnect", "transport error")], kind
            check_one_line(lines, "admin", "nowhere")
            lines.clear()
            await bystander.send('421["still","there"]')
            assert await bystander.message() == '431["there"]', kind
    await eventually(host.left, operator.not_)


POSTED = {kind: frame for kind, frame in MALFORMED.items() if kind != "base64 on a WebSocket"}


async def test_a_connect_of_who_has_seen_the_answer_closes_its_connection(
    client: Raw, host: Host, lines: list[logging.LogRecord]
) -> None:
    """Its events show that it has; before them it may not have."""
    async with client.joined() as socket:
        await socket.send('421["hello"]')
        assert await socket.message() == "431[]"
        await socket.send("40")
        assert await socket.closed(1) == 1002
    await eventually(host.left, operator.not_)
    check_one_line(lines)


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
    await eventually(host.left, operator.not_)


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
    await eventually(lambda: host.calls, lambda calls: ("disconnect", "transport error") in calls)
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


@pytest.mark.promise(
    "The transport",
    "Input that is too large is refused within a second, and leaves neither tasks nor memory behind",
)
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
    await eventually(host.left, operator.not_)
