"""What a request's head may be under ``walkie-signal serve``: in bytes, as polling and WebSocket, and in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import pytest

from support.bare import bare_serve
from support.certificates import certificate
from support.heads import POLLING, UPGRADE, WEBSOCKET, head
from support.memory import memory_of
from support.servers import Serving, serve
from support.wire import wire
from walkie_signal.bounded_log import MOST
from walkie_signal.direct.bounds import HEAD_BYTES

Serve = Callable[..., AbstractAsyncContextManager[Serving]]
BOTH = pytest.mark.parametrize("run", [serve, bare_serve], ids=["fast", "bare"])
"""httptools, uvloop and our WebSocket class, and h11, asyncio and uvicorn's own."""

WAYS = [(POLLING, (), 200), (WEBSOCKET, UPGRADE, 101)]

LONG_HEADS = {
    "a line of 16 KiB": ("X: " + "x" * 16_384,),
    "a line of 64 KB": ("X: " + "x" * 64_000,),
    "a line that is not ASCII": ("X: " + "ä" * 20_000,),
    "many lines": tuple(f"X-{n}: {'x' * 200}" for n in range(240)),
}


@pytest.mark.promise(
    "The command",
    "A request whose head is over 64 KiB or 256 lines is answered 431 before the rest is read, in whatever "
    "pieces it comes; trailers are bounded too; a WebSocket's head may be as long as a poll's; under "
    "`serve` a session keeps nothing of a long head",
)
@BOTH
async def test_a_websocket_s_head_may_be_as_long_as_a_poll_s(run: Serve) -> None:
    async with run() as server:
        for what, lines in LONG_HEADS.items():
            for target, upgrade, expected in WAYS:
                async with wire(server.url) as client:
                    await client.send(head(target, *upgrade, *lines))
                    status, _ = await client.answer()
                    assert status == expected, (what, target)
            async with wire(server.url) as client:
                await client.send(head(POLLING + "&token=" + "x" * 60_000))
                assert (await client.answer())[0] == 200
        assert "WARNING" not in server.program.output, server.program.output


@pytest.mark.promise(
    "The command",
    "A request whose head is over 64 KiB or 256 lines is answered 431 before the rest is read, in whatever "
    "pieces it comes; trailers are bounded too; a WebSocket's head may be as long as a poll's; under "
    "`serve` a session keeps nothing of a long head",
)
@BOTH
async def test_what_is_over_the_bound_is_refused_with_lines_that_are_bounded(run: Serve) -> None:
    async with run() as server:
        for number in range(3 * MOST):
            target, upgrade, _ = WAYS[number % 2]
            async with wire(server.url) as client:
                await client.send(head(target, *upgrade, "Cookie: secret=1", size=HEAD_BYTES + 1))
                assert await client.answer() == (431, b"")
        line = "WARNING Request refused, its head is over 65536 bytes or 256 lines; from 127.0.0.1"
        assert server.program.output.count(line) == MOST
        assert "secret" not in server.program.output


@pytest.mark.promise(
    "The command",
    "Requests that come before their turn wait unread; a broken one gets one answer and leaves no traceback",
)
@BOTH
async def test_what_is_no_http_and_no_websocket_leaves_lines_that_are_bounded(run: Serve) -> None:
    async with run() as server:
        for _ in range(3 * MOST):
            for sent in (b"no HTTP\r\n\r\n", head(WEBSOCKET, *UPGRADE, "X" * 200 + "\x7f: x")):
                async with wire(server.url) as client:
                    await client.send(sent)
                    await client.rest()
        assert server.program.output.count("Invalid HTTP request received.") >= MOST
        assert len(server.program.output.splitlines()) <= 1 + 2 * MOST, server.program.output


@pytest.mark.promise(
    "The command",
    "A request whose head is over 64 KiB or 256 lines is answered 431 before the rest is read, in whatever "
    "pieces it comes; trailers are bounded too; a WebSocket's head may be as long as a poll's; under "
    "`serve` a session keeps nothing of a long head",
)
@BOTH
async def test_sessions_keep_nothing_of_a_long_head(run: Serve) -> None:
    async with run() as server, AsyncExitStack() as stack:

        async def open_some(number: int) -> int:
            for _ in range(number):
                client = await stack.enter_async_context(wire(server.url))
                await client.send(head(POLLING, size=HEAD_BYTES))
                assert (await client.answer())[0] == 200
            return memory_of(server.program.pid)

        before = await open_some(32)
        held = (await open_some(128) - before) / 128
        assert held < HEAD_BYTES / 3, f"{held:.0f} bytes for each"


@pytest.mark.promise(
    "The command",
    "A connection is closed in time if it sends no whole head, does not end its TLS handshake or takes "
    "nothing of an answer, also if bytes drip in; one that is being served is not",
)
@BOTH
async def test_who_sends_no_whole_head_is_closed_in_time(run: Serve) -> None:
    async with run("--head-timeout", "1") as server, AsyncExitStack() as stack:
        waiting = []
        for sent in (b"", b"GET / HT", head(POLLING)[:-2], head(WEBSOCKET, *UPGRADE)[:-2]):
            client = await stack.enter_async_context(wire(server.url))
            await client.send(sent)
            waiting.append(client.rest())
        assert set(await asyncio.gather(*waiting)) == {b""}
        assert len(server.program.output.splitlines()) == 1, server.program.output


@pytest.mark.promise(
    "The command",
    "A connection is closed in time if it sends no whole head, does not end its TLS handshake or takes "
    "nothing of an answer, also if bytes drip in; one that is being served is not",
)
@BOTH
async def test_who_never_ends_its_tls_handshake_is_closed_in_time(run: Serve, tmp_path: Path) -> None:
    certfile, keyfile = certificate(tmp_path)
    options = ("--ssl-certfile", str(certfile), "--ssl-keyfile", str(keyfile), "--head-timeout", "1")
    half_a_hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    async with run(*options) as server, wire(server.url) as silent, wire(server.url) as half:
        await half.send(half_a_hello)
        await asyncio.gather(silent.rest(), half.rest())
        assert len(server.program.output.splitlines()) == 1, server.program.output
