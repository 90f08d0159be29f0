"""The HTTP protocol class: how large the head of a request may be, and what else is read before it is served.

What it gives to uvicorn's class is counted there.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from support.heads import UPGRADE, head
from support.waiting import eventually
from support.wire import Wire
from transport.http_app import App, calling
from walkie_signal.direct.bounds import BODY_PIECE, HEAD_BYTES, HEAD_LINES
from walkie_signal.direct.http import BoundedHttpToolsProtocol, HttpProtocol
from walkie_signal.direct.protocol import DirectProtocol

ENDLESS = 4 << 20


@pytest.fixture
def fed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """List the bytes of each piece that uvicorn's class gets."""
    sizes: list[int] = []

    def counting(original: Callable[[Any, bytes], None]) -> Callable[[Any, bytes], None]:
        def data_received(self: Any, data: bytes) -> None:
            sizes.append(len(data))
            original(self, data)

        return data_received

    for theirs in (HttpToolsProtocol, H11Protocol):
        monkeypatch.setattr(theirs, "data_received", counting(theirs.data_received))
    return sizes


class Log:
    """The warnings and errors of a test."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Check that there is one, and that this is a part of it."""
        yield
        lines = [each.getMessage() for each in self._caplog.records if each.levelno >= logging.WARNING]
        assert len(lines) == 1, lines
        assert part in lines[0]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    return Log(caplog)


FIRST = head("/first")
LONG = b"X: " + b"x" * ENDLESS
TOO_LONG: dict[str, tuple[bytes, bytes]] = {
    "one header": (b"", head("/")[:-2] + LONG),
    "the path": (b"", b"GET /" + b"x" * ENDLESS),
    "a header's name": (b"", head("/")[:-2] + b"x" * ENDLESS),
    "many headers": (b"", head("/")[:-2] + b"a:b\r\n" * (ENDLESS // 5)),
    "a WebSocket": (b"", head("/", *UPGRADE)[:-2] + LONG),
    "a second one": (FIRST, head("/")[:-2] + LONG),
    "a second one, behind a body": (
        head("/read", "Content-Length: 5", method="POST") + b"hello", head("/")[:-2] + LONG),
}  # fmt: skip


@pytest.mark.promise(
    "The command",
    "A request whose head is over 64 KiB or 256 lines is answered 431 before the rest is read, in whatever "
    "pieces it comes; trailers are bounded too; a WebSocket's head may be as long as a poll's; under "
    "`serve` a session keeps nothing of a long head",
)
@pytest.mark.parametrize("size", [ENDLESS, 5000], ids=["at once", "in pieces"])
@pytest.mark.parametrize("what", TOO_LONG)
async def test_a_head_over_the_bound_is_answered_431_before_it_is_read(
    what: str, size: int, app: App, protocol: Any, fed: list[int]
) -> None:
    first, long = TOO_LONG[what]
    start = first if size < ENDLESS else first + long[: size - len(first)]
    async with calling(app, protocol) as client:
        sending = asyncio.create_task(in_turn(client, start, long[len(start) - len(first) :], size))
        if first:
            assert await client.answer() == (200, b"ok")
        assert (await client.answer())[0] in (431, 0)
        await client.rest()
        await sending
    assert sum(fed) - len(first) <= HEAD_BYTES
    assert len(fed) <= HEAD_BYTES // 5000 + 3
    assert app.heard == ([first.split()[1].decode()] if first else [])


async def in_turn(client: Wire, start: bytes, data: bytes, size: int) -> None:
    await client.send(start)
    await client.send(data, chop=size)


async def test_a_little_over_the_bound_is_answered_431_with_one_line_in_the_log(
    app: App, protocol: Any, log: Log
) -> None:
    with log.of("head is over 65536 bytes or 256 lines; from 127.0.0.1"):
        async with calling(app, protocol) as client:
            await client.send(head("/", size=HEAD_BYTES + 1))
            assert await client.answer() == (431, b"")
            assert await client.rest() == b""
    assert app.heard == []


@pytest.mark.promise(
    "The command",
    "A request whose head is over 64 KiB or 256 lines is answered 431 before the rest is read, in whatever "
    "pieces it comes; trailers are bounded too; a WebSocket's head may be as long as a poll's; under "
    "`serve` a session keeps nothing of a long head",
)
async def test_a_head_at_the_bound_is_served(app: App, protocol: Any) -> None:
    long_path = head("/" + "x" * (HEAD_BYTES - len(head("/"))))
    many = head("/", *(f"X-{n}: 1" for n in range(HEAD_LINES - 3)))
    async with calling(app, protocol) as client:
        for one in (head("/", size=HEAD_BYTES), long_path, many, FIRST + head("/", size=HEAD_BYTES) + many):
            await client.send(one)
            assert await client.answer() == (200, b"ok")
        for _ in range(2):
            assert await client.answer() == (200, b"ok")


@pytest.mark.parametrize(
    "lines",
    [("X: " + "x" * 60_000,), tuple(f"X-{n}: {'x' * 200}" for n in range(240)), ("X" * 90 + ": x",)],
    ids=["one long header", "many headers", "a long name"],
)
async def test_a_websocket_s_head_may_be_as_long_as_a_poll_s(
    lines: tuple[str, ...], app: App, protocol: Any
) -> None:
    async with calling(app, protocol, ws=DirectProtocol) as client:
        await client.send(head("/" + "x" * 5000, *UPGRADE, *lines))
        assert (await client.answer())[0] == 101


ENDLESS_FRAMING = {
    "a trailer": b"5\r\nhello\r\n0\r\nX: " + b"x" * ENDLESS,
    "many trailers": b"5\r\nhello\r\n0\r\n" + b"a:b\r\n" * (ENDLESS // 5),
    "a chunk's extension": b"5;" + b"x" * ENDLESS,
}


@pytest.mark.promise(
    "The command",
    "A request whose head is over 64 KiB or 256 lines is answered 431 before the rest is read, in whatever "
    "pieces it comes; trailers are bounded too; a WebSocket's head may be as long as a poll's; under "
    "`serve` a session keeps nothing of a long head",
)
@pytest.mark.parametrize("path", ["/read", "/"])
@pytest.mark.parametrize("what", ENDLESS_FRAMING)
async def test_what_stands_around_a_body_is_bounded_like_a_head(
    what: str, path: str, app: App, protocol: Any, fed: list[int]
) -> None:
    """Whether the app has answered already, or waits for the body: it hears that the other side is gone."""
    start = head(path, "Transfer-Encoding: chunked", method="POST")
    async with calling(app, protocol) as client:
        await client.send(start)
        if path == "/":
            assert (await client.answer())[0] == 200
        await client.send(ENDLESS_FRAMING[what])
        assert path == "/" or (await client.answer())[0] in (431, 400, 0)
        await client.rest()
        await eventually(lambda: app.gone, lambda gone: gone == (path == "/read"))
    assert sum(fed) <= len(start) + HEAD_BYTES + 2 * BODY_PIECE


async def test_a_body_is_no_part_of_a_head(app: App, protocol: Any) -> None:
    """Neither a large one, nor one of chunks of a byte each; nor what looks like the end of a head in it."""
    async with calling(app, protocol) as client:
        body = b"\r\n\r\n" * 100_000
        await client.send(head("/read", f"Content-Length: {len(body)}", method="POST") + body)
        assert await client.answer() == (200, b"ok")
        chunks = head("/read", "Transfer-Encoding: chunked", method="POST") + b"1\r\nx\r\n" * 50_000
        await client.send(chunks + b"0\r\n\r\n" + head("/last"))
        assert await client.answer() == (200, b"ok")
        assert await client.answer() == (200, b"ok")
    assert app.heard == ["/read", "/read", "/last"]


@pytest.mark.promise(
    "The command",
    "Requests that come before their turn wait unread; a broken one gets one answer and leaves no traceback",
)
async def test_requests_that_come_before_their_turn_wait_unread(
    app: App, protocol: Any, fed: list[int]
) -> None:
    app.may_answer.clear()
    async with calling(app, protocol) as client:
        requests = [head(f"/{number}") for number in range(5000)]
        await client.send(b"".join(requests))
        await eventually(lambda: app.heard, lambda heard: len(heard) == 1)
        assert sum(fed) <= HEAD_BYTES
        assert sum(fed) <= HEAD_LINES * len(requests[-1]), "each is a task, or what one is made of"
        app.may_answer.set()
        for _ in requests:
            assert await client.answer() == (200, b"ok")
    assert app.heard == [f"/{number}" for number in range(5000)]


@pytest.mark.promise(
    "The command",
    "Requests that come before their turn wait unread; a broken one gets one answer and leaves no traceback",
)
@pytest.mark.parametrize("path", ["/", "/read"])
async def test_what_is_no_body_gets_one_answer_at_the_most(
    path: str, app: App, protocol: Any, log: Log
) -> None:
    with log.of("Invalid HTTP request received."):
        async with calling(app, protocol) as client:
            await client.send(head(path, "Transfer-Encoding: chunked", method="POST"))
            if path == "/":
                assert await client.answer() == (200, b"ok")
            await client.send(b"no chunk\r\n\r\n")
            assert (await client.rest()).count(b"HTTP/1.1 ") == (path == "/read")
            await eventually(lambda: app.gone, lambda gone: gone == (path == "/read"))


@pytest.mark.promise(
    "The command",
    "Requests that come before their turn wait unread; a broken one gets one answer and leaves no traceback",
)
async def test_what_websockets_can_not_read_is_answered_400(app: App, protocol: Any, log: Log) -> None:
    """uvicorn's class would leave it waiting, with nothing in the log."""
    with log.of("Request for a WebSocket refused, websockets can't read it; from 127.0.0.1"):
        async with calling(app, protocol, ws=WebSocketsSansIOProtocol) as client:
            await client.send(head("/", *UPGRADE, "X: " + "x" * 9000))
            assert await client.answer() == (400, b"")
            assert await client.rest() == b""


@pytest.mark.promise(
    "The command",
    "A request whose head is over 64 KiB or 256 lines is answered 431 before the rest is read, in whatever "
    "pieces it comes; trailers are bounded too; a WebSocket's head may be as long as a poll's; under "
    "`serve` a session keeps nothing of a long head",
)
async def test_an_open_websocket_holds_nothing_of_the_protocol_before_it(app: App, protocol: Any) -> None:
    gc.collect()
    gc.disable()
    try:
        async with calling(app, protocol, ws=DirectProtocol) as client:
            await client.send(head("/", *UPGRADE, size=50_000))
            assert (await client.answer())[0] == 101
            assert [each for each in gc.get_objects() if isinstance(each, protocol)] == []
    finally:
        gc.enable()


def test_with_httptools_it_is_the_class_for_that() -> None:
    assert HttpProtocol is BoundedHttpToolsProtocol
