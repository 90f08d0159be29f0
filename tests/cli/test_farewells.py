"""How ``walkie-signal serve`` parts from those who are connected when it ends: each is closed, none holds it up."""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from support.bare import bare_serve
from support.certificates import certificate
from support.heads import POLLING, head
from support.node import victim
from support.peers import raw_peer
from support.processes import SCRIPTS, running
from support.redis import RedisServer, redis_server
from support.servers import Serving, free_port, serve
from support.stock import web
from support.waiting import eventually
from support.wire import wire
from walkie_signal.cli.serving import HASTE, POLL_TIMEOUT

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}

BOUND = POLL_TIMEOUT + HASTE + 2.0
"""Seconds to end: what its parts may take, and some for a busy machine; uvicorn's own patience is 5 s."""

Serve = Callable[..., AbstractAsyncContextManager[Serving]]
BOTH = pytest.mark.parametrize("run", [serve, bare_serve], ids=["fast", "bare"])
"""httptools, uvloop and our WebSocket class, and h11, asyncio and uvicorn's own."""


async def ends(server: Serving, number: signal.Signals = signal.SIGTERM) -> None:
    """End a server; it takes no longer than it may, and finds nothing wrong."""
    start = time.monotonic()
    server.program.send_signal(number)
    assert await server.program.wait() == 0
    taken = time.monotonic() - start
    assert taken < BOUND, f"{taken:.1f} s; output:\n{server.program.output}"
    for bad in ("ERROR", "WARNING", "Traceback", "never retrieved"):
        assert bad not in server.program.output, server.program.output


@pytest.mark.promise(
    "The command",
    "SIGTERM, SIGHUP and Ctrl-C end it with 0 while peers of any kind are connected; each poll under way "
    "is answered with a close, and stock clients come back",
)
@BOTH
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda each: each.name)
async def test_a_poll_under_way_is_answered_with_a_close(number: signal.Signals, run: Serve) -> None:
    async with run() as server, raw_peer(server.url, "polling", headers=BROWSER) as peer:
        await peer.join("gate")
        await ends(server, number)
        await peer.event("server_draining")
        assert await peer.closed() == 200
        assert peer.heard[-1] == "1"


@BOTH
async def test_a_websocket_is_closed_as_by_a_service_that_restarts(run: Serve) -> None:
    async with run() as server, raw_peer(server.url) as peer:
        await peer.join("gate")
        await ends(server)
        await peer.event("server_draining")
        assert await peer.closed() == 1012


async def test_a_client_that_takes_no_notice_of_a_close_sees_its_connection_end() -> None:
    """The Java library would come back when it had missed its pings."""
    async with serve() as server, raw_peer(server.url, headers={"User-Agent": "okhttp/3.12.12"}) as peer:
        await peer.join("gate")
        await ends(server)
        await peer.event("server_draining")
        assert await peer.closed() == 1006, "no CLOSE was sent"


@pytest.mark.node
async def test_a_stock_peer_that_polls_is_told_of_a_close_and_of_no_error() -> None:
    async with serve() as server, victim(server.url, "polling", "gate") as peer:
        await peer.line('"joined"')
        await ends(server)
        await peer.line('"disconnect".*"transport close"')


PYTHON_CLIENT = """
import asyncio, sys, socketio

async def main(url, transport):
    client = socketio.AsyncClient(reconnection_delay=0.1, randomization_factor=0)
    client.on("connect", lambda: print("connected", flush=True))
    client.on("disconnect", lambda reason: print("disconnected", flush=True))
    await client.connect(url, transports=[transport])
    await client.call("join_room", {"room": "gate"})
    print("joined", flush=True)
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.promise(
    "The command",
    "SIGTERM, SIGHUP and Ctrl-C end it with 0 while peers of any kind are connected; each poll under way "
    "is answered with a close, and stock clients come back",
)
@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_a_python_client_comes_back_by_itself(transport: str) -> None:
    """The close that others are told of on a poll, python-engineio takes for its own, and stays away."""
    port = str(free_port())
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serve("--port", port))
        command = [sys.executable, "-c", PYTHON_CLIENT, server.url, transport]
        client = await stack.enter_async_context(running(command))
        await client.line("^joined")
        await ends(server)
        await client.line("^disconnected")
        before = client.output.count("connected\n")
        await stack.enter_async_context(serve("--port", port))
        await eventually(
            lambda: client.output, lambda output: output.count("connected\n") > before, "connected", within=15
        )


# Those who do not do their part

Stuck = Callable[[Serving, AsyncExitStack], Awaitable[None]]


async def half_a_post(server: Serving, stack: AsyncExitStack) -> None:
    peer = await stack.enter_async_context(raw_peer(server.url, "polling"))
    await peer.join("gate")
    target = f"{POLLING}&sid={peer.session.sid}"
    await half(server, stack, head(target, "Content-Length: 99", method="POST") + b"half")


async def half_a_head(server: Serving, stack: AsyncExitStack) -> None:
    await half(server, stack, head(POLLING)[:-15])


async def half_a_probe(server: Serving, stack: AsyncExitStack) -> None:
    await half(server, stack, head("/healthz", "Content-Length: 99", method="POST") + b"half")


async def nothing_said(server: Serving, stack: AsyncExitStack) -> None:
    await half(server, stack, b"")


async def half(server: Serving, stack: AsyncExitStack, said: bytes) -> None:
    connection = await stack.enter_async_context(wire(server.url))
    await connection.send(said)
    async with web(server.url) as http:  # so that it has come in
        await http.get("/healthz")


async def kept_alive(server: Serving, stack: AsyncExitStack) -> None:
    http = await stack.enter_async_context(web(server.url))
    for path in ("/healthz", "/readyz", "/nowhere", "/socket.io/?EIO=4&transport=polling"):
        await http.get(path)


async def reads_nothing(server: Serving, stack: AsyncExitStack) -> None:
    deaf = await stack.enter_async_context(raw_peer(server.url))
    await deaf.join("gate")
    await deaf.pause()
    deaf.session.wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stack.push_async_callback(deaf.abort)
    sender = await stack.enter_async_context(raw_peer(server.url))
    await sender.join("gate")
    for _ in range(12):  # less than `outbox_bytes`, so that it is not closed for that
        payload = {"targetId": deaf.peer_id, "signal": "x" * 60_000}
        assert await sender.ask("signal", payload) == {"ok": True}


async def polls_no_more(server: Serving, stack: AsyncExitStack) -> None:
    peer = await stack.enter_async_context(raw_peer(server.url, "polling"))
    await peer.join("gate")
    await peer.abort()


STUCK = [half_a_post, half_a_head, half_a_probe, nothing_said, kept_alive, reads_nothing, polls_no_more]


@pytest.mark.promise(
    "The command",
    "SIGTERM, SIGHUP and Ctrl-C end it with 0 while peers of any kind are connected; each poll under way "
    "is answered with a close, and stock clients come back",
)
@BOTH
@pytest.mark.parametrize("stuck", STUCK, ids=lambda stuck: stuck.__name__)
async def test_nobody_holds_it_up(stuck: Stuck, run: Serve) -> None:
    async with run() as server, AsyncExitStack() as stack:
        await stuck(server, stack)
        await ends(server)


@BOTH
async def test_nobody_on_tls_holds_it_up(run: Serve, tmp_path: Path) -> None:
    """Closing waits for the other side's goodbye there, for 30 s with asyncio."""
    certfile, keyfile = map(str, certificate(tmp_path))
    async with run("--ssl-certfile", certfile, "--ssl-keyfile", keyfile) as server, AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        address = urlsplit(server.url)
        url = f"https://{address.netloc}/socket.io/?EIO=4&transport=websocket"
        socket_ = await stack.enter_async_context(session.ws_connect(url, ssl=False))
        await socket_.receive()
        response: Any = socket_._response
        transport = response.connection.transport
        transport.pause_reading()
        stack.callback(transport.abort)
        await ends(server)


# Signals


async def test_under_nohup_the_terminal_that_closes_does_not_end_it() -> None:
    command: list[str | Path] = ["nohup", SCRIPTS / "walkie-signal", "serve", "--port", "0"]
    async with running(command) as program:
        found = await program.line(r"listening on (https?://[^/\s]+)")
        server = Serving(found[1], program)
        program.send_signal(signal.SIGHUP)
        async with raw_peer(server.url) as peer:
            await peer.join("gate")
            await ends(server)


# Several workers


@pytest.fixture
async def redis() -> AsyncIterator[RedisServer]:
    async with redis_server() as server:
        yield server


@asynccontextmanager
async def polling_peers(url: str, count: int) -> AsyncIterator[list[Any]]:
    headers = {**BROWSER, "Connection": "close"}
    async with AsyncExitStack() as stack:
        joined = [
            await stack.enter_async_context(raw_peer(url, "polling", headers=headers)) for _ in range(count)
        ]
        for peer in joined:
            await peer.join("gate")
        yield joined


@pytest.mark.promise(
    "The command",
    "SIGTERM, SIGHUP and Ctrl-C end it with 0 while peers of any kind are connected; each poll under way "
    "is answered with a close, and stock clients come back",
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda each: each.name)
async def test_polls_that_were_handed_over_are_answered_with_a_close(
    number: signal.Signals, redis: RedisServer
) -> None:
    """Each request comes on a connection of its own, to either worker, so that about half are handed over."""
    async with (
        serve("--workers", "2", "--redis-url", redis.url) as server,
        polling_peers(server.url, 8) as joined,
    ):
        await ends(server, number)
        for peer in joined:
            await peer.event("server_draining")
            assert await peer.closed() == 200
            assert peer.heard[-1] == "1"
