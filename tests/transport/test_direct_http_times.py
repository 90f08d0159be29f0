"""The HTTP protocol class: how long a request may take to come, and its answer to be taken."""

from __future__ import annotations

import asyncio
import operator
from typing import Any

import pytest

from support.heads import UPGRADE, head
from support.servers import hosted
from support.waiting import eventually
from support.wire import Wire, wire
from transport.http_app import App, calling
from walkie_signal.direct import draining
from walkie_signal.direct.protocol import DirectProtocol

HASTE = 0.5
"""Seconds for a head, where a test waits until they are over."""

FIRST = head("/first")
CHUNKED = head("/", "Transfer-Encoding: chunked", method="POST")


def hasty(protocol: Any) -> Any:
    return type("Hasty", (protocol,), {"head_timeout": HASTE})


async def every_100_ms(client: Wire, data: bytes) -> None:
    while True:
        await client.send(data)
        await asyncio.sleep(0.1)


UNFINISHED = {
    "nothing": (b"", b""),
    "half a head": (FIRST[:-2], b""),
    "a head that goes on": (FIRST[:-2] + b"X: ", b"x"),
    "half a second head": (FIRST + FIRST[:-2], b""),
    "a second head that goes on": (FIRST + FIRST[:-2] + b"X: ", b"x"),
    "a body that goes on when all is answered": (head("/", "Content-Length: 9999", method="POST"), b"x"),
    "trailers that go on when all is answered": (CHUNKED + b"0\r\n", b"a:b\r\n"),
    "half a WebSocket's head": (head("/", *UPGRADE)[:-2], b""),
}


@pytest.mark.promise(
    "The command",
    "A connection is closed in time if it sends no whole head, does not end its TLS handshake or takes "
    "nothing of an answer, also if bytes drip in; one that is being served is not",
)
@pytest.mark.parametrize("what", UNFINISHED)
async def test_a_request_that_never_is_whole_is_closed_however_it_drips(
    what: str, app: App, protocol: Any
) -> None:
    start, drip = UNFINISHED[what]
    async with calling(app, hasty(protocol), timeout_keep_alive=60) as client:
        await client.send(start)
        dripping = asyncio.create_task(every_100_ms(client, drip)) if drip else None
        closed = await client.rest(within=HASTE + 5)
        assert closed.count(b"HTTP/1.1 200") == len(app.heard) == (b"\r\n\r\n" in start)
        if dripping is not None:
            dripping.cancel()


@pytest.mark.promise(
    "The command",
    "A connection is closed in time if it sends no whole head, does not end its TLS handshake or takes "
    "nothing of an answer, also if bytes drip in; one that is being served is not",
)
async def test_who_is_answered_or_heard_is_not_hurried(app: App, protocol: Any) -> None:
    async with (
        hosted(app, http=hasty(protocol), ws=DirectProtocol, lifespan="off") as url,
        wire(url) as slow,
        wire(url) as sending,
        wire(url) as socket,
    ):
        app.may_answer.clear()
        await slow.send(FIRST)
        await sending.send(head("/read", "Content-Length: 2", method="POST") + b"x")
        await socket.send(head("/", *UPGRADE))
        assert (await socket.answer())[0] == 101
        async with wire(url) as idle:
            await idle.rest()  # whose deadline comes after theirs would have
        app.may_answer.set()
        await sending.send(b"x")
        assert await slow.answer() == (200, b"ok")
        assert await sending.answer() == (200, b"ok")
        await slow.send(FIRST)
        assert await slow.answer() == (200, b"ok")
        assert not socket.ended


@pytest.mark.promise(
    "The command",
    "A connection is closed in time if it sends no whole head, does not end its TLS handshake or takes "
    "nothing of an answer, also if bytes drip in; one that is being served is not",
)
@pytest.mark.parametrize("lines", [(), ("Connection: close",)], ids=["kept alive", "closed"])
@pytest.mark.parametrize("requests", [1, 2])
async def test_who_takes_nothing_of_its_answer_is_cut(
    requests: int, lines: tuple[str, ...], app: App, protocol: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uvicorn closes it, which waits until all is sent; with a second request it waits to send, for ever too."""
    monkeypatch.setattr(draining, "ANSWER_TIMEOUT", 0.3)
    app.body = b"x" * (32 << 20)
    connections: set[Any] = set()

    class Watched(protocol):  # type: ignore[misc]
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            connections.add(self)

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            connections.discard(self)

    async with calling(app, Watched, timeout_keep_alive=1) as client:
        await client.send(head("/", *lines) * requests)
        await eventually(lambda: app.heard)
        await eventually(lambda: connections, operator.not_)


@pytest.mark.promise(
    "The command",
    "A connection is closed in time if it sends no whole head, does not end its TLS handshake or takes "
    "nothing of an answer, also if bytes drip in; one that is being served is not",
)
async def test_who_takes_its_answer_slowly_is_not_cut(
    app: App, protocol: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "ANSWER_TIMEOUT", 0.5)
    app.body = b"x" * (16 << 20)
    async with calling(app, protocol, timeout_keep_alive=1) as client:
        await client.send(head("/", "Connection: close"))
        await client.answer_head()
        left = len(app.body)
        while left:
            left -= len(await client.exactly(min(left, 1 << 20)))
            await asyncio.sleep(0.1)  # 1.6 s in all
